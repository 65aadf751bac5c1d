// npm run bench:charts [-- FILE]: draws a JSON file, the newest of bench/results unless another is named, into bench/charts/.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { charts } from './charts.js';
import { root } from './measure/machine.js';
import { readSaved } from './report/saved.js';

const results = path.join(root, 'bench', 'results');
const folder = path.join(root, 'bench', 'charts');
// Whole runs of this benchmark: a part would replace the charts of a whole, and a GPU's results have another form.
const files = readdirSync(results).filter(
  (name) => /-\d{4}-\d\d-\d\d\.json$/.test(name) && !name.startsWith('nvidia-'),
);
const saved = process.argv[2]
  ? readSaved(process.argv[2])
  : files
      .map((name) => readSaved(path.join(results, name)))
      .reduce((a, b) => (a.machine.date > b.machine.date ? a : b));

mkdirSync(folder, { recursive: true });
for (const [name, chart] of charts(saved)) {
  writeFileSync(path.join(folder, name), chart);
  console.log(path.relative(process.cwd(), path.join(folder, name)));
}
