// npm run cuda:counts: how many instructions the CUDA kernels issue, from their machine code for sm_90. Needs nvcc, nvdisasm
// and a C++ compiler, no GPU. Without nvcc or nvdisasm the exit status is 77.
//
//   npm run cuda:counts                         makes the table, counts.json, and bench/gpu/counts.md with its chart
//   npm run cuda:counts -- --json               prints it as JSON and writes nothing
//   npm run cuda:counts -- --check              fails where a count is more than 3% above counts.json
//   npm run cuda:counts -- --only "C = 4 "      prints the rows with this text and writes nothing; --hot: each instruction
//   npm run cuda:counts -- --cubins FOLDER      takes float32.cubin and so on from there, compiles none
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildLaunches, compileCubins, nvccPath, nvdisasmPath } from './build.mjs';
import { cases, titleOf } from './cases.mjs';
import { count } from './count.mjs';
import { writeReport } from './report.mjs';
import { risen, shown, tablePath } from './table.mjs';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean' },
    check: { type: 'boolean' },
    hot: { type: 'boolean' },
    only: { type: 'string' },
    cubins: { type: 'string' },
  },
});

for (const [name, tool] of [
  ['nvcc', options.cubins ? 'unused' : nvccPath()],
  ['nvdisasm', nvdisasmPath()],
]) {
  if (tool) continue;
  console.log(`skipped: ${name} cannot be run here; no instruction was counted`);
  process.exit(77);
}

const chosen = cases.filter((one) => titleOf(one).includes(options.only ?? ''));
const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-counts-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const dtypes = [...new Set(chosen.map(({ dtype }) => dtype))];
const cubins = options.cubins
  ? dtypes.map((dtype) => path.join(options.cubins, `${dtype}.cubin`)).filter(existsSync)
  : await compileCubins(dtypes, folder);
const rows = count({
  cubins,
  nvdisasm: nvdisasmPath(),
  launches: await buildLaunches(),
  cases: chosen,
  found: (row) => {
    if (options.json || options.check) return;
    console.log(shown(row));
    if (options.hot) printInstructions(row);
  },
});

function printInstructions({ machineCode, result }) {
  for (const [
    i,
    { pc, guard, name, operands, stall, waits },
  ] of machineCode.instructions.entries()) {
    if (result.issued[i] === 0) continue;
    const words = `${guard ? `@${guard} ` : ''}${name} ${operands.join(', ')}`;
    console.log(
      `  ${pc.toString(16).padStart(5)} ${String(result.issued[i]).padStart(8)} ${String(stall).padStart(2)} ${waits} ${words}`,
    );
  }
}

/** What the JSON says of a row. */
function recordOf({ classes, shape, dtype, labels, layout, loss, voxelWeights, kernel, ...row }) {
  const { instructionsPerElement, registers, likelyShareOfCopy } = row;
  const known = {
    classes,
    shape,
    dtype,
    labels,
    layout,
    loss,
    kernel,
    instructionsPerElement,
    registers,
    likelyShareOfCopy,
  };
  return {
    ...known,
    ...(voxelWeights !== 'none' && { voxelWeights }),
    ...(row.channels > 0 && { channels: row.channels, multiplyAdds: row.multiplyAdds }),
  };
}

const records = rows.map(recordOf);
if (options.json) {
  console.log(JSON.stringify(records, null, 2));
} else if (options.check) {
  const problems = risen(records, JSON.parse(readFileSync(tablePath, 'utf8')));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`${records.length} counts of instructions, none more than 3% above the table`);
} else if (options.only === undefined) {
  writeFileSync(
    tablePath,
    `[\n${records.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]\n`,
  );
  writeReport(rows);
  console.log(
    `written: ${path.relative(process.cwd(), tablePath)}, bench/gpu/counts.md, bench/gpu/counts.svg`,
  );
}
