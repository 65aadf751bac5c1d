// Runs the suites that compare numbers with the reference, and those of devices, on the first GPU.
//
//   node test/cuda/gpu/suite.mjs <folder of compile.mjs> [part of a suite's name ...]
//
// Names the tests that it skips because they need an emulated device. Exit status: 77 without a GPU, 1 when a test failed.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { load, runSuites } from '../../standalone/run.mjs';

const root = path.join(import.meta.dirname, '..', '..', '..');
const [folder, ...parts] = process.argv.slice(2);
if (!folder || !existsSync(folder)) {
  console.log('there are no compiled tests');
  process.exit(1);
}
process.env.WARPDICE_TEST_ADDON ??= path.join(root, 'build/Release/warpdice.node');
process.env.WARPDICE_TEST_GPU = '1';
const { Device } = await load(folder, 'lib', 'index.js');
if (Device.list().length === 1) {
  console.log(`no GPU: ${Device.whyNoGpu}`);
  process.exit(77);
}
console.log(`${Device.cuda(0)}`);
process.exitCode = (await runSuites(folder, parts)) ? 0 : 1;
