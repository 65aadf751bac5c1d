// The pages that people read: bench/gpu/counts.md and bench/gpu/counts.svg, made from the counts.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { titleOf } from './cases.mjs';
import { targetOf } from './targets.mjs';

const folder = path.join(import.meta.dirname, '..', '..', '..', 'bench', 'gpu');

/** "24.3 (26)", in bold when it misses the target. */
function cell(value, target, misses, digits, unit = '') {
  const text = `${value.toFixed(digits)}${unit} (${Math.round(target)}${unit})`;
  return misses ? `**${text}**` : text;
}

function lineOf(rows) {
  const cells = ['statistics', 'gradient'].flatMap((kernel) => {
    const row = rows.find((one) => one.kernel === kernel);
    const target = targetOf(row);
    const { instructionsPerElement: n, likelyShareOfCopy: share } = row;
    return [
      cell(n, target.instructions, n > target.instructions, 1),
      cell(100 * share, 100 * target.share, share < target.share, 0, '%'),
      row.bound,
    ];
  });
  return `| ${titleOf(rows[0])} | ${cells.join(' | ')} |`;
}

/** Of a head: multiply-adds among all instructions, in each kernel and in both together. */
function headLineOf(rows) {
  const [statistics, gradient] = ['statistics', 'gradient'].map((kernel) =>
    rows.find((one) => one.kernel === kernel),
  );
  const percent = (share) => `${(100 * share).toFixed(0)}%`;
  const all = statistics.instructionsPerElement + gradient.instructionsPerElement;
  const multiplyAdds = [statistics, gradient].reduce(
    (sum, one) => sum + one.multiplyAdds * one.instructionsPerElement,
    0,
  );
  const cells = [statistics, gradient].flatMap((one) => [
    one.instructionsPerElement.toFixed(1),
    percent(one.multiplyAdds),
  ]);
  return `| ${titleOf(rows[0])} | ${[...cells, percent(multiplyAdds / all)].join(' | ')} |`;
}

function headsOf(rows) {
  const titles = [...new Set(rows.map(titleOf))];
  return `
## Heads

\`linearLogits\`: elements are those of the logits, which are never in memory. Multiply-adds (FFMA) are a share of all instructions.

| | statistics: instructions | multiply-adds | gradients: instructions | multiply-adds | multiply-adds of both |
|---|---:|---:|---:|---:|---:|
${titles.map((title) => headLineOf(rows.filter((row) => titleOf(row) === title))).join('\n')}
`;
}

/** Rows of the commonest calls in large batches, by kernel and by classes. */
function plainRows(rows, kernel) {
  const plain = {
    dtype: 'float32',
    labels: 'uint8',
    layout: 'channels-first',
    loss: 'dice',
    voxelWeights: 'none',
  };
  return rows
    .filter((row) => row.kernel === kernel && row.shape[0] === 8)
    .filter((row) => titleOf(row) === titleOf({ ...row, ...plain }))
    .sort((a, b) => a.classes - b.classes);
}

/** "statistics rise by at most 28% (from 20 to 21 classes) and fall by ...": the largest changes from one class to the next. */
function largestSteps(rows, kernel) {
  const plain = plainRows(rows, kernel);
  let rise = { change: 0 };
  let fall = { change: 0 };
  for (const [i, row] of plain.entries()) {
    const before = plain[i - 1];
    if (before?.classes !== row.classes - 1) continue;
    const change = row.instructionsPerElement / before.instructionsPerElement - 1;
    if (change > rise.change) rise = { change, to: row.classes };
    if (change < fall.change) fall = { change, to: row.classes };
  }
  const text = ({ change, to }) =>
    `${Math.abs(100 * change).toFixed(0)}% (from ${to - 1} to ${to} classes)`;
  return `${kernel} rise by at most ${text(rise)} and fall by at most ${text(fall)}`;
}

function pageOf(rows, heads) {
  const titles = [...new Set(rows.map(titleOf))];
  const missing = rows.filter(
    (row) =>
      row.instructionsPerElement > targetOf(row).instructions ||
      row.likelyShareOfCopy < targetOf(row).share,
  );
  return `# Counted instructions of the CUDA kernels

Made by \`npm run cuda:counts\` from the machine code for sm_90: [test/cuda/counts](../../test/cuda/counts/README.md) says how.
**Instructions an element are counted. Shares of a copy's speed are modelled for an H100; no GPU has run these kernels.** Targets stand in
brackets; what misses its target is bold (${missing.length} of ${rows.length}). The last column of each step is what bounds it in the model:
memory, issue (instructions), moves (loads, stores, shuffles), latency (waits that too few warps hide), or a unit.

![Instructions an element, by the number of classes](counts.svg)

Where two of the float32 rows differ by one class, among them where more threads begin to share a voxel, the instructions an element
of the ${largestSteps(rows, 'statistics')},
those of the ${largestSteps(rows, 'gradient')}.

| | statistics: instructions | share of a copy | bound by | gradient: instructions | share of a copy | bound by |
|---|---:|---:|---|---:|---:|---|
${titles.map((title) => lineOf(rows.filter((row) => titleOf(row) === title))).join('\n')}
${headsOf(heads)}`;
}

const [width, height, margin] = [760, 320, 48];

/** Lines over the number of classes, which grows by factors. */
function chartOf(rows) {
  const plain = ['statistics', 'gradient'].flatMap((kernel) => plainRows(rows, kernel));
  const most = Math.ceil(Math.max(...plain.map((row) => row.instructionsPerElement)) / 10) * 10;
  const x = (classes) => margin + ((width - 2 * margin) * Math.log(classes)) / Math.log(1000);
  const y = (count) => height - margin - ((height - 2 * margin) * count) / most;
  const text = (at, words, more = '') =>
    `<text x="${at[0].toFixed(0)}" y="${at[1].toFixed(0)}" ${more}>${words}</text>`;
  const parts = [];
  for (let count = 0; count <= most; count += 10) {
    parts.push(`<path d="M${margin} ${y(count)}H${width - margin}" stroke="#ddd"/>`);
    parts.push(text([margin - 6, y(count) + 4], count, 'text-anchor="end"'));
  }
  for (const classes of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]) {
    parts.push(text([x(classes), height - margin + 18], classes, 'text-anchor="middle"'));
  }
  for (const [kernel, colour] of [
    ['statistics', '#1f77b4'],
    ['gradient', '#d62728'],
  ]) {
    const points = plainRows(rows, kernel).map((row) =>
      [x(row.classes), y(row.instructionsPerElement)].map((n) => n.toFixed(1)),
    );
    parts.push(
      `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
    );
    for (const [left, top] of points)
      parts.push(`<circle cx="${left}" cy="${top}" r="2.5" fill="${colour}"/>`);
    const [left, top] = points.at(-1).map(Number);
    parts.push(text([left - 4, top - 8], kernel, `fill="${colour}" text-anchor="end"`));
  }
  const title =
    'Counted instructions an element (float32, uint8 labels, channels first), by classes';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img">
<title>${title}</title>
<rect width="100%" height="100%" fill="#fff"/>
${text([width / 2, 24], title, 'text-anchor="middle" font-size="14"')}
${parts.join('\n')}
</svg>
`;
}

export function writeReport(all) {
  const rows = all.filter(({ channels }) => channels === 0);
  const heads = all.filter(({ channels }) => channels > 0);
  writeFileSync(path.join(folder, 'counts.md'), pageOf(rows, heads));
  writeFileSync(path.join(folder, 'counts.svg'), chartOf(rows));
}
