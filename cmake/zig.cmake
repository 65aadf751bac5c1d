# A toolchain: `zig c++` for the platform WARPDICE_ZIG_TARGET. See scripts/prebuild-backend.mjs, which sets all that is
# named here, CMAKE_SYSTEM_NAME and CMAKE_SYSTEM_PROCESSOR as well.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES WARPDICE_ZIG WARPDICE_ZIG_TARGET)
set(CMAKE_CXX_COMPILER ${WARPDICE_ZIG} c++ -target ${WARPDICE_ZIG_TARGET})
set(CMAKE_RANLIB true)
set(CMAKE_RC_COMPILER true)          # CMake asks for it on Windows; there are no resources
set(CMAKE_INSTALL_NAME_TOOL true)    # and for this on macOS; nothing is installed
set(CMAKE_SHARED_LINKER_FLAGS_INIT -s) # Zig has no strip for every format
