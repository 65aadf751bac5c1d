// An inline function or template that the kernels take from a shared header is compiled once per
// SIMD target, and the linker keeps any one of them: an AVX-512 one on a CPU without it would be an
// illegal instruction. So the objects of the SIMD targets may define shared symbols only inside the
// target's own namespace.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

const build = process.argv[2] ?? 'build';
let problems = 0;
let objects = 0;
for (const entry of readdirSync(`${build}/CMakeFiles`)) {
  const target = /^kernels_(\w+)\.dir$/.exec(entry)?.[1];
  if (target === undefined) continue;
  const folder = path.join(build, 'CMakeFiles', entry, 'native/cpu/kernels');
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.o'))) {
    objects++;
    const arguments_ = ['-C', '--defined-only', path.join(folder, file)];
    const symbols = execFileSync('nm', arguments_, { encoding: 'utf8' });
    for (const line of symbols.split('\n')) {
      const [, type, name] = /^[0-9a-f]* *([WVuTDBR]) (.*)$/.exec(line) ?? [];
      if (type !== undefined && !name.includes(`::${target}::`)) {
        console.error(`${target}, ${file}: ${name} is shared with other targets`);
        problems++;
      }
    }
  }
}
console.log(`${objects} objects of SIMD targets, ${problems} shared symbols`);
if (objects === 0 || problems > 0) process.exitCode = 1;
