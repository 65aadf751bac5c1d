// Records the digests of what is built here, for its compiler and each SIMD target of this processor, in digests.json. Those of
// other targets stay: where bits have changed on purpose, run it on a processor with these too.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { native } from '../../dist/native/load.js';

const file = path.join(import.meta.dirname, 'digests.json');
const recorded = JSON.parse(readFileSync(file, 'utf8'));
const compiler = native.compiler();
recorded[compiler] ??= {};
for (const target of ['baseline', 'avx2', 'avx512', 'neon']) {
  const script = path.join(import.meta.dirname, '../support/workers/print-digests.mjs');
  const dist = path.join(import.meta.dirname, '../../dist/index.js');
  const env = { ...process.env, WARPDICE_SIMD: target };
  const { stdout } = spawnSync(process.execPath, [script, dist], { env, encoding: 'utf8' });
  const { simd, digests } = JSON.parse(stdout);
  if (simd === target) recorded[compiler][target] = digests;
}
writeFileSync(file, `${JSON.stringify(recorded, null, 2)}\n`);
