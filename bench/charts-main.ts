// npm run bench:charts [-- FILE]: draws a JSON file, the newest of bench/results unless another is named, into bench/charts/, and writes
// what README.md and docs/speed.md say of it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { charts } from './charts.js';
import { root } from './measure/machine.js';
import { blocks, withBlock } from './pages.js';
import { newestFile, readSaved } from './report/saved.js';

const file = process.argv[2] ?? newestFile(path.join(root, 'bench', 'results'));
const saved = readSaved(file);

function write(name: string, text: string): void {
  writeFileSync(path.join(root, name), text);
  console.log(name);
}

mkdirSync(path.join(root, 'bench', 'charts'), { recursive: true });
for (const [name, chart] of charts(saved)) write(`bench/charts/${name}`, chart);
for (const [page, name, text] of blocks(saved, file)) {
  write(page, withBlock(readFileSync(path.join(root, page), 'utf8'), name, text));
}
