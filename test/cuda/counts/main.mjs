// npm run cuda:counts: how many instructions the CUDA kernels issue, from their machine code for sm_90. Needs nvcc, nvdisasm
// and a C++ compiler, no GPU. Without nvcc or nvdisasm the exit status is 77.
//
//   npm run cuda:counts                         makes the tables, counts.json and classes.json, and bench/gpu/counts.md with
//                                               its chart
//   npm run cuda:counts -- --json               prints it as JSON and writes nothing
//   npm run cuda:counts -- --check              fails where a count is more than 3% above counts.json
//   npm run cuda:counts -- --only "C = 4 "      prints the rows with this text and writes nothing; --hot: each instruction
//   npm run cuda:counts -- --cubins FOLDER      takes float32.cubin and so on from there, compiles none
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  buildLaunches,
  compileCubins,
  compileEngine,
  compileTeams,
  nvccPath,
  nvdisasmPath,
} from './build.mjs';
import { cases, everyClass, everywhere, titleOf } from './cases.mjs';
import { writeClasses } from './classes.mjs';
import { usesOf } from './cubin.mjs';
import { countFinishes } from './finish.mjs';
import { countAll } from './parallel.mjs';
import { writeReport } from './report.mjs';
import { risen, tablePath } from './table.mjs';

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

const writes = !options.json && !options.check && options.only === undefined;
const ofTable = new Set(cases.map(titleOf));
const chosen = [
  ...cases.filter((one) => titleOf(one).includes(options.only ?? '')),
  ...(writes ? everyClass.filter((one) => !ofTable.has(titleOf(one))) : []),
];
const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-counts-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const dtypes = [...new Set(chosen.map(({ dtype }) => dtype))];
const cubins = options.cubins
  ? dtypes.map((dtype) => path.join(options.cubins, `${dtype}.cubin`)).filter(existsSync)
  : await compileCubins(dtypes, folder);
const tools = { nvdisasm: nvdisasmPath(), launches: await buildLaunches() };
const found = (text) => {
  if (!options.json && !options.check) console.log(text);
};
const rows = await countAll({ ...tools, cubins, cases: chosen, hot: options.hot, found });
const tableRows = rows.filter((row) => ofTable.has(titleOf(row)));

/** Of each architecture: the rows of `everywhere`, and what the kernels of teams.cu use. */
async function countTeams() {
  const architectures = [75, 80, 90, 100, 120];
  const files = await compileTeams(architectures, folder);
  const counted = [];
  for (const [i, file] of files.entries()) {
    console.log(`sm_${architectures[i]}`);
    const ofArchitecture = await countAll({ ...tools, cubins: [file], cases: everywhere, found });
    counted.push({ architecture: architectures[i], rows: ofArchitecture, uses: usesOf(file) });
  }
  return counted;
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

const records = tableRows.map(recordOf);
if (options.json) {
  console.log(JSON.stringify(records, null, 2));
} else if (options.check) {
  const problems = risen(records, JSON.parse(readFileSync(tablePath, 'utf8')));
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`${records.length} counts of instructions, none more than 3% above the table`);
} else if (writes) {
  writeFileSync(
    tablePath,
    `[\n${records.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n]\n`,
  );
  const classes = writeClasses(rows);
  const finishes = countFinishes({ ...tools, cubin: await compileEngine(folder) });
  writeReport(tableRows, classes, await countTeams(), finishes);
  console.log(
    'written: test/cuda/counts/counts.json, classes.json, bench/gpu/counts.md, bench/gpu/counts.svg',
  );
}
