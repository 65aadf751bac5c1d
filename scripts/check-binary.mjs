// What a published addon must look like from outside: it needs libc only, of a known age, exports
// only what Node looks up, and is stripped. Usage: node scripts/check-binary.mjs [files]; without any, those in prebuilds/.
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';

const folder = `prebuilds/${process.platform}-${process.arch}`;
const all = () => readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.node'));
const files =
  process.argv.length > 2 ? process.argv.slice(2) : all().map((name) => `${folder}/${name}`);

/** The README names this floor. */
const glibcFloor = '2.35';
const mostMegabytes = 20;
const libraries = ['libc.so.6', 'libm.so.6', 'ld-linux-x86-64.so.2', 'ld-linux-aarch64.so.1'];
const exported = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

function check(file) {
  const read = (program, ...args) => execFileSync(program, [...args, file], { encoding: 'utf8' });
  const problems = [];

  const dynamic = read('readelf', '-dW');
  for (const [, name] of dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)) {
    if (!libraries.includes(name)) problems.push(`needs ${name}`);
  }
  for (const flag of ['NODELETE', 'NOW']) {
    if (!new RegExp(`Flags:.*\\b${flag}\\b`).test(dynamic))
      problems.push(`is not linked with ${flag}`);
  }
  if (/GNU_STACK.*RWE/.test(read('readelf', '-lW'))) problems.push('has an executable stack');

  const symbols = read('objdump', '-T').split('\n');
  const newest = symbols
    .flatMap((line) => [...line.matchAll(/GLIBC_(\d+\.\d+)/g)].map(([, version]) => version))
    .reduce((a, b) => (compare(a, b) > 0 ? a : b), '0.0');
  if (compare(newest, glibcFloor) > 0) problems.push(`needs glibc ${newest}, above ${glibcFloor}`);
  for (const line of symbols) {
    const name = line.trim().split(/\s+/).at(-1);
    if (/^[0-9a-f]{16} +[gwu]/.test(line) && !line.includes('*UND*') && !exported.includes(name)) {
      problems.push(`exports ${name}`);
    }
  }
  if (read('readelf', '-SW').includes('.symtab')) problems.push('is not stripped');

  const megabytes = statSync(file).size / 1e6;
  if (megabytes > mostMegabytes) problems.push(`is larger than ${mostMegabytes} MB`);
  console.log(`${file}: ${megabytes.toFixed(2)} MB, needs glibc ${newest}`);
  if (problems.length > 0) {
    for (const problem of problems) console.error(`  ${problem}`);
    process.exitCode = 1;
  }
}

function compare(a, b) {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number));
  return x[0] - y[0] || x[1] - y[1];
}

for (const file of files) check(file);
