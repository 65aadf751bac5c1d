# warpdice_local_gpus(<variable>): the compute capabilities of this machine's NVIDIA GPUs, as numbers; empty when there is
# none. nvidia-smi comes with the driver, without which none can be used.
function(warpdice_local_gpus variable)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE said ERROR_QUIET RESULT_VARIABLE status)
  set(capabilities)
  if(status EQUAL 0)
    string(REPLACE "." "" said "${said}")
    string(REGEX MATCHALL "[0-9]+" capabilities "${said}")
  endif()
  set(${variable} ${capabilities} PARENT_SCOPE)
endfunction()

# warpdice_cuda_architectures(<variable> <known> <local> <all>): what CMAKE_CUDA_ARCHITECTURES is to be.
#   known   what this nvcc can compile for, as numbers; those below 75 are not supported
#   local   the compute capabilities of this machine's GPUs, as numbers; empty when there is none
#   all     whether the binary is for other machines too
# <n>-real is machine code, which also runs on later GPUs of the same generation (the digits before the last);
# <n>-virtual is PTX, which the driver of any GPU from <n> on compiles when it loads it.
function(warpdice_cuda_architectures variable known local all)
  list(FILTER known EXCLUDE REGEX "^[0-6]?[0-9]$|^7[0-4]$")
  list(SORT known COMPARE NATURAL)
  list(GET known -1 newest)
  set(architectures)
  if(all)
    # The first of each generation, which the others of it run too: each adds about 2.4 MB to the binary.
    set(generations)
    foreach(architecture IN LISTS known)
      string(REGEX REPLACE ".$" "" generation ${architecture})
      if(generation STREQUAL "11" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
        continue() # Jetson Thor, whose processor is arm64
      endif()
      if(NOT generation IN_LIST generations)
        list(APPEND architectures ${architecture}-real)
        list(APPEND generations ${generation})
      endif()
    endforeach()
    list(APPEND architectures ${newest}-virtual) # for what is newer than this nvcc
  else()
    foreach(architecture IN LISTS local)
      if(architecture IN_LIST known)
        list(APPEND architectures ${architecture}-real)
      elseif(architecture GREATER newest)
        list(APPEND architectures ${newest}-virtual)
      endif()
    endforeach()
    if(NOT architectures) # no GPU here: the oldest PTX, for all of them, and the quickest to compile
      list(GET known 0 oldest)
      list(APPEND architectures ${oldest}-virtual)
    endif()
  endif()
  list(REMOVE_DUPLICATES architectures)
  set(${variable} ${architectures} PARENT_SCOPE)
endfunction()
