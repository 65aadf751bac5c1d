#!/usr/bin/env node
// prebuildify knows node-gyp only. It calls this in its place as
//   rebuild --target=<version> --devdir=<folder> --arch=<arch> --release
// and then moves build/Release/*.node to prebuilds/. The build has its own folder, so that the
// options of a published binary do not mix with those of build/. WARPDICE_PREBUILT_FOLDER=build takes what is
// compiled there, for a machine that has compiled it with these options already.
import { cpSync, rmSync } from 'node:fs';
import { buildNative, reportBuildErrors } from './build-native.mjs';

await reportBuildErrors(async () => {
  // ON unless said otherwise: a CPU-only published binary would leave GPU users on the CPU.
  process.env.WARPDICE_CUDA ||= 'ON';
  // A kernel that spills registers, on any of the GPUs, would be published slow and unseen.
  process.env.WARPDICE_WERROR ||= 'ON';
  const folder = process.env.WARPDICE_PREBUILT_FOLDER ?? 'build-prebuilt';
  await buildNative({ out: folder, defines: ['-DWARPDICE_PREBUILT=ON'] });
  // prebuildify takes the main addon alone.
  const prebuilds = `prebuilds/${process.platform}-${process.arch}/mpi`;
  cpSync(`${folder}/Release/mpi`, prebuilds, { recursive: true });
  if (folder === 'build') return;
  rmSync('build/Release', { recursive: true, force: true });
  cpSync(`${folder}/Release`, 'build/Release', { recursive: true });
});
