// npm run bench:charts [-- FILE]: draws a JSON file, the newest of bench/results unless another is named, into bench/charts/, and writes
// what README.md and docs/ say of it; docs/speed.md has our times of the newest file of each SIMD target.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { charts } from './charts.js';
import { root } from './measure/machine.js';
import { blocks, withBlock } from './pages.js';
import { newestRuns, readSaved } from './report/saved.js';

const file = process.argv[2];
const [newest, ...older] = file
  ? [{ file, saved: readSaved(file) }]
  : newestRuns(path.join(root, 'bench', 'results'));

function write(name: string, text: string): void {
  writeFileSync(path.join(root, name), text);
  console.log(name);
}

mkdirSync(path.join(root, 'bench', 'charts'), { recursive: true });
for (const [name, chart] of charts(newest.saved)) write(`bench/charts/${name}`, chart);
for (const [page, name, text] of blocks(newest, older)) {
  write(page, withBlock(readFileSync(path.join(root, page), 'utf8'), name, text));
}
