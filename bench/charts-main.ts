// npm run bench:charts [-- FILE]: draws a JSON file, the newest of bench/results unless another is named, into bench/charts/, and writes
// what README.md and docs/ say of it; docs/speed.md has our times of the newest file of each SIMD target, docs/many-classes.md those of the
// newest with heads, also of a part.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { charts } from './charts.js';
import { root } from './measure/machine.js';
import { blocks, withBlock } from './pages.js';
import { newestHeads, newestRuns, readSaved } from './report/saved.js';

const file = process.argv[2];
const results = path.join(root, 'bench', 'results');
const [newest, ...older] = file ? [{ file, saved: readSaved(file) }] : newestRuns(results);
const heads = file ? newest.saved : newestHeads(results);

function write(name: string, text: string): void {
  writeFileSync(path.join(root, name), text);
  console.log(name);
}

mkdirSync(path.join(root, 'bench', 'charts'), { recursive: true });
for (const [name, chart] of charts(newest.saved, heads)) write(`bench/charts/${name}`, chart);
for (const [page, name, text] of blocks(newest, older, heads)) {
  write(page, withBlock(readFileSync(path.join(root, page), 'utf8'), name, text));
}
