// suites.mjs <folder of test/standalone/compile.mjs> <addon> <SIMD target> [part of a suite's name ...]: the suites, with one addon,
// on the Node that runs this. Exit status: 1 when a test failed.
import { load, runSuites } from '../standalone/run.mjs';

const [folder, addon, wanted, ...parts] = process.argv.slice(2);
process.env.WARPDICE_TEST_ADDON = addon;
process.env.WARPDICE_TEST_TARGET = wanted;
const { simdTarget } = await load(folder, 'lib', 'index.js');
const { platform, arch, version } = process;
console.log(`Node ${version} on ${platform}-${arch}, ${simdTarget()}`);
if (simdTarget() !== wanted) {
  console.log(`Expected the SIMD target ${wanted} but received ${simdTarget()}`);
  process.exitCode = 1;
}
if (!(await runSuites(folder, parts))) process.exitCode = 1;
