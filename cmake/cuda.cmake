# Decides WARPDICE_HAVE_CUDA from WARPDICE_CUDA and the machine, enables the language, and chooses
# the GPU architectures: CUDAARCHS from the environment, else the local GPU's, or one of each generation for
# WARPDICE_PREBUILT.
include(cmake/cuda-architectures.cmake)
set(WARPDICE_HAVE_CUDA OFF)
if(NOT WARPDICE_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "Expected AUTO, ON or OFF for WARPDICE_CUDA but received '${WARPDICE_CUDA}'.")
endif()
if(WARPDICE_CUDA STREQUAL "OFF")
  message(STATUS "warpdice: CPU only (WARPDICE_CUDA=OFF)")
  return()
endif()

# AUTO: the kernels are compiled for the GPU that is here. Without one they would cost minutes and run nowhere.
warpdice_local_gpus(local)
if(WARPDICE_CUDA STREQUAL "AUTO" AND NOT local)
  message(STATUS "warpdice: CPU only, no NVIDIA GPU was found (WARPDICE_CUDA=ON compiles for GPUs all the same)")
  return()
endif()

# nvcc is often installed but not on PATH.
find_program(WARPDICE_NVCC NAMES ${CMAKE_CUDA_COMPILER} $ENV{CUDACXX} nvcc
  HINTS $ENV{CUDA_PATH}/bin $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
if(NOT WARPDICE_NVCC)
  if(WARPDICE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "WARPDICE_CUDA=ON needs the CUDA toolkit: no nvcc in PATH, CUDACXX, CUDA_PATH or /usr/local/cuda.")
  endif()
  message(STATUS "warpdice: CPU only, there is an NVIDIA GPU but no CUDA compiler (nvcc)")
  return()
endif()

# AUTO: an nvcc that cannot compile here (a host compiler that is too new, say) means CPU only.
if(WARPDICE_CUDA STREQUAL "AUTO" AND NOT DEFINED CMAKE_CUDA_COMPILER)
  include(CheckLanguage)
  set(ENV{CUDACXX} ${WARPDICE_NVCC})
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    message(STATUS "warpdice: CPU only, ${WARPDICE_NVCC} does not work with this C++ compiler")
    return()
  endif()
endif()
set(CMAKE_CUDA_COMPILER ${WARPDICE_NVCC} CACHE FILEPATH "CUDA compiler")

# CUDAARCHS is CMake's own variable for the choice.
if(NOT CMAKE_CUDA_ARCHITECTURES AND NOT "$ENV{CUDAARCHS}" STREQUAL "")
  set(CMAKE_CUDA_ARCHITECTURES "$ENV{CUDAARCHS}" CACHE STRING "GPU architectures")
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  execute_process(COMMAND ${WARPDICE_NVCC} --list-gpu-arch OUTPUT_VARIABLE known ERROR_QUIET)
  string(REGEX MATCHALL "[0-9]+" known "${known}")
  warpdice_cuda_architectures(architectures "${known}" "${local}" ${WARPDICE_PREBUILT})
  set(CMAKE_CUDA_ARCHITECTURES ${architectures} CACHE STRING "GPU architectures")
endif()

enable_language(CUDA)
set(WARPDICE_HAVE_CUDA ON)
message(STATUS "warpdice: CUDA ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
