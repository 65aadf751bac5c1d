// Times the surface metrics of 128^3 voxels beside SciPy, MONAI and surface-distance, in one run:
//   node test/peers/surface-speed.mjs [--python python] [--threads 1]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SurfaceMetrics, setThreads } from '../../dist/index.js';
import { pythonWithPeers } from './environment.mjs';

const { values } = parseArgs({
  options: { python: { type: 'string' }, threads: { type: 'string', default: '1' } },
});
const python = values.python ?? pythonWithPeers();
if (python === undefined) process.exit(77);
setThreads(Number(values.threads));
const n = 128;

/** A ball, with a bumpy surface. */
function ball(shift) {
  return Uint8Array.from({ length: n ** 3 }, (_, i) => {
    const at = [Math.floor(i / n / n), Math.floor(i / n) % n, i % n];
    const [z, y, x] = at.map((k) => (k - 64 - shift) / 52);
    const bumps = 0.04 * Math.sin(9 * z + shift) * Math.sin(11 * y) * Math.sin(13 * x);
    return Math.hypot(z, y, x) + bumps < 1 ? 1 : 0;
  });
}

/** Half of the voxels, at random: the largest surface. */
function noise(seed) {
  let state = seed;
  return Uint8Array.from({ length: n ** 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 31;
  });
}

function seconds(surface, maps) {
  const [p, t] = maps.map((data) => ({ data, shape: [1, n, n, n] }));
  const times = [];
  for (let i = 0; i < 7; i++) {
    const options = { classes: 1, decision: 'labels', surface, tolerance: 1 };
    const start = process.hrtime.bigint();
    new SurfaceMetrics(options).update(p, t).perClass('surfaceDice');
    times.push(Number(process.hrtime.bigint() - start) / 1e9);
  }
  return Math.min(...times);
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-speed-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const problems = { 'two balls': [ball(0), ball(3)], noise: [noise(1), noise(2)] };
for (const [name, maps] of Object.entries(problems)) {
  for (const [i, letter] of ['p', 't'].entries()) {
    writeFileSync(path.join(folder, `${letter}.bin`), maps[i]);
  }
  const script = path.join(import.meta.dirname, 'surface_speed.py');
  const ran = spawnSync(python, ['-W', 'ignore', script, folder, values.threads]);
  if (ran.status !== 0) throw new Error(String(ran.stderr));
  const theirs = JSON.parse(ran.stdout);
  const ours = { voxels: seconds('voxels', maps), elements: seconds('elements', maps) };
  console.log(`${name}, 128^3, ${values.threads} thread(s)`);
  for (const [library, time] of Object.entries(theirs)) {
    const mine = ours[library === 'surface-distance' ? 'elements' : 'voxels'];
    const [a, b] = [mine, time].map((t) => `${(t * 1e3).toFixed(0)} ms`);
    console.log(`  ${library}: ${b}; warpdice ${a}: ${(time / mine).toFixed(1)} times as fast`);
  }
}
