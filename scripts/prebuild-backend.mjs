#!/usr/bin/env node
// prebuildify knows node-gyp only. It calls this in its place as
//   rebuild --target=<version> --devdir=<folder> --arch=<arch> --release
// in the build's folder, and then moves build/Release/*.node there to the folder of the platform's package. Each platform has a
// folder of its own, so that the options of a published binary do not mix with those of build/. WARPDICE_PREBUILT_FOLDER=build
// takes what is compiled there, for a machine that has compiled it with these options already.
// WARPDICE_PLATFORM names the platform; scripts/prebuilds.mjs sets it, and has brought the tools.
import { cpSync } from 'node:fs';
import path from 'node:path';
import { buildNative, reportBuildErrors } from './build-native.mjs';
import { platforms, prebuiltMpiFile, thisPlatform } from './platforms.mjs';
import {
  cudaLibrariesOf,
  makeImportLibrary,
  needsCudaLibraries,
  sysrootOf,
  zigProgram,
} from './prebuild-tools.mjs';

const root = path.dirname(import.meta.dirname);
const name = process.env.WARPDICE_PLATFORM ?? thisPlatform();
const platform = platforms[name];
// ON unless said otherwise: a CPU-only published binary would leave GPU users on the CPU.
if (!platform.cuda) process.env.WARPDICE_CUDA = 'OFF';
process.env.WARPDICE_CUDA ||= 'ON';

/** CMake takes Windows' backslash for the begin of an escape. */
const plain = (file) => file.replaceAll('\\', '/');

/** What CMake is told of the compiler. */
function definesOf({ compiler, cxx, system, processor, target }) {
  // What an earlier build in the folder was for does not count.
  const defines = ['-DWARPDICE_PREBUILT=ON', '-UCMAKE_CUDA_ARCHITECTURES'];
  if (system)
    defines.push(`-DCMAKE_SYSTEM_NAME=${system}`, `-DCMAKE_SYSTEM_PROCESSOR=${processor}`);
  if (system && cxx) defines.push(`-DCMAKE_CXX_COMPILER=${cxx}`);
  if (compiler === 'gcc') {
    defines.push(`-DWARPDICE_SYSROOT=${sysrootOf(name)}`);
    if (needsCudaLibraries(name)) {
      const libraries = `-L${cudaLibrariesOf(name)}`; // before nvcc's own, which are for this processor
      defines.push(`-DCMAKE_CUDA_HOST_COMPILER=${cxx}`, `-DCMAKE_CUDA_FLAGS=${libraries}`);
      defines.push(`-DCMAKE_SHARED_LINKER_FLAGS=${libraries}`);
    }
    return defines;
  }
  defines.push('-DCMAKE_TOOLCHAIN_FILE=cmake/zig.cmake', `-DWARPDICE_ZIG=${plain(zigProgram())}`);
  defines.push(`-DWARPDICE_ZIG_TARGET=${target}`);
  if (system === 'Windows') defines.push(`-DCMAKE_JS_LIB=${plain(makeImportLibrary())}`);
  return defines;
}

await reportBuildErrors(async () => {
  // A kernel that spills registers, on any of the GPUs, would be published slow and unseen.
  process.env.WARPDICE_WERROR ||= 'ON';
  const folder = process.cwd();
  await buildNative({ out: folder, defines: definesOf(platform) });
  const addon = 'Release/warpdice.node';
  cpSync(path.join(folder, addon), path.join(folder, 'build', addon));
  // prebuildify takes the main addon alone.
  const mpi = prebuiltMpiFile(name);
  if (mpi) cpSync(path.join(folder, 'Release/mpi/warpdice_mpi.node'), path.join(root, mpi));
});
