// Step 2, one kernel between the two that read voxels: how many instructions its longest warp issues, and how long that takes in
// the model.
//
//   node test/cuda/counts/finish.mjs     prints the table of bench/gpu/counts.md
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Block } from './block.mjs';
import { buildLaunches, compileEngine, nvdisasmPath } from './build.mjs';
import { argumentOf, finishes, titleOf } from './cases.mjs';
import { launchesOf } from './count.mjs';
import { keyOf, readCubin } from './cubin.mjs';
import { finishSeconds } from './model.mjs';

/** The most microseconds. */
const targetOf = ({ classes }) => (classes <= 32 ? 3 : 5);

/** cubin: of engine.cu. */
export function countFinishes({ cubin, nvdisasm, launches: program }) {
  const kernels = new Map(readCubin(cubin, nvdisasm));
  const launches = launchesOf(program, finishes);
  return finishes.map((one) => {
    const launch = launches.get(argumentOf(one)).find(({ symbol }) => /finish_kernel/.test(symbol));
    const kernel = kernels.get(keyOf(launch.symbol));
    // The block that ends last. What it reads are sums, of no matter what.
    const { trace } = new Block(kernel, launch, launch.grid - 1, () => 0x3f800000).run();
    return {
      ...one,
      instructions: trace.length,
      microseconds: finishSeconds(kernel, trace) * 1e6,
      target: targetOf(one),
    };
  });
}

/** The part of bench/gpu/counts.md. */
export function finishesOf(rows) {
  const missing = rows.filter(({ microseconds, target }) => microseconds > target);
  const line = (row) => {
    const time = `${row.microseconds.toFixed(1)} (${row.target})`;
    return `| ${titleOf(row)} | ${row.instructions} | ${row.microseconds > row.target ? `**${time}**` : time} |`;
  };
  return `
## Step 2

The kernel between the two that read voxels adds up the partial sums and makes the loss and the slopes of the gradient. Counted: the instructions
of the longest warp of its last block. Modelled: its time, from their latencies, with 270 cycles for a read of what another block has written, and
700 for a fence or an atomic addition. Targets stand in brackets; ${missing.length} of ${rows.length} miss theirs (bold). What bounds them are chains of operations in
double, and where there are several blocks a fence and the ticket of the last one: 0.8 of the microseconds.

| | instructions | microseconds |
|---|---:|---:|
${rows.map(line).join('\n')}
`;
}

if (process.argv[1] === import.meta.filename) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-finish-'));
  process.on('exit', () => rmSync(folder, { recursive: true }));
  const cubin = await compileEngine(folder);
  const launches = await buildLaunches();
  console.log(finishesOf(countFinishes({ cubin, nvdisasm: nvdisasmPath(), launches })));
}
