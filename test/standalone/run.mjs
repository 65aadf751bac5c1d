// Runs compiled suites (compile.mjs) on the addon that WARPDICE_TEST_ADDON names, without Jest: on a machine, or a Node, that has none.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Imports a file of a folder of compiled suites. */
export const load = (folder, ...names) =>
  import(pathToFileURL(path.resolve(folder, ...names)).href);

/** Runs the suites of a folder of which a part of the name is given, or all. Prints them; whether none failed. */
export async function runSuites(folder, parts) {
  const { expect, run } = await load(folder, 'test', 'globals.mjs');
  const total = { passed: 0, failed: 0, skipped: [] };
  const files = readdirSync(path.resolve(folder, 'test'), { recursive: true });
  for (const name of files.map((file) => file.replaceAll(path.sep, '/')).sort()) {
    if (!name.endsWith('.test.js')) continue;
    if (parts.length > 0 && !parts.some((part) => name.includes(part))) continue;
    const begin = performance.now();
    expect.setState({ testPath: name });
    const failed = await load(folder, 'test', name).then(
      () => [],
      (error) => [{ name: 'its import', error }],
    );
    const { passed, skipped, failures } = await run();
    failures.push(...failed);
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
  return failed === 0 && passed > 0;
}
