// Runs the suites that compare numbers with the reference, and those of devices, on the first GPU. It does so without Jest,
// for machines that get only the compiled tests.
//
//   node test/cuda/gpu/suite.mjs <folder of compile.mjs> [part of a suite's name ...]
//
// Names the tests that it skips because they need an emulated device. Exit status: 77 without a GPU, 1 when a test failed.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const root = path.join(import.meta.dirname, '..', '..', '..');
const [folder, ...parts] = process.argv.slice(2);
if (!folder || !existsSync(folder)) {
  console.log('there are no compiled tests');
  process.exit(1);
}
process.env.WARPDICE_TEST_ADDON ??= path.join(root, 'build/Release/warpdice.node');
process.env.WARPDICE_TEST_GPU = '1';
const load = (...names) => import(pathToFileURL(path.resolve(folder, ...names)).href);
const { Device } = await load('lib', 'index.js');
if (Device.list().length === 1) {
  console.log(`no GPU: ${Device.whyNoGpu}`);
  process.exit(77);
}
console.log(`${Device.cuda(0)}`);
const { run } = await load('test', 'globals.mjs');

const total = { passed: 0, failed: 0, skipped: [] };
for (const name of readdirSync(path.resolve(folder, 'test'), { recursive: true }).sort()) {
  if (!name.endsWith('.test.js')) continue;
  if (parts.length > 0 && !parts.some((part) => name.includes(part))) continue;
  const begin = performance.now();
  await load('test', name);
  const { passed, skipped, failures } = await run();
  total.passed += passed;
  total.failed += failures.length;
  total.skipped.push(...skipped.map((test) => `${name}: ${test}`));
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`${name}: ${passed} passed, ${failures.length} failed, ${seconds} s`);
  for (const { name: test, error } of failures) console.log(`FAILED ${test}: ${error?.message}`);
}
for (const test of total.skipped) console.log(`skipped: ${test}`);
const { passed, failed, skipped } = total;
console.log(`${passed} tests passed, ${failed} failed, ${skipped.length} skipped`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
