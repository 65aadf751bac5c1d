// The pages that people read: bench/gpu/counts.md and bench/gpu/counts.svg, made from the counts.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { everywhere, titleOf } from './cases.mjs';
import { stepsOf } from './classes.mjs';
import { finishesOf } from './finish.mjs';
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

/** "statistics rise by at most 28% (from 20 to 21 classes) and fall by ...": the largest changes from one class to the next. */
function largestSteps(kernel, counts) {
  const steps = stepsOf(counts);
  const text = ({ change, to }) =>
    `${Math.abs(100 * change).toFixed(0)}% (from ${to - 1} to ${to} classes)`;
  const rise = steps.reduce((a, b) => (b.change > a.change ? b : a));
  const fall = steps.reduce((a, b) => (b.change < a.change ? b : a));
  return `${kernel} rise by at most ${text(rise)} and fall by at most ${text(fall)}`;
}

/** counted: { architecture, rows, uses: [registers, bytes of local memory] of each kernel } of each architecture. */
function architecturesOf(counted) {
  const line = (title, cellOf) => `| ${title} | ${counted.map(cellOf).join(' | ')} |`;
  const instructions = ({ rows }, one, kernel) =>
    rows.find((row) => titleOf(row) === titleOf(one) && row.kernel === kernel)
      .instructionsPerElement;
  const usual = counted.find(({ architecture }) => architecture === 90);
  const cellOf = (of, one, kernel) => {
    const count = instructions(of, one, kernel);
    const text = count.toFixed(1);
    return count > (4 / 3) * instructions(usual, one, kernel) ? `**${text}**` : text;
  };
  return `
## Architectures

Instructions an element, statistics / gradient, from the machine code that nvcc makes for each architecture, with the same launches;
bold where they are more than a third above those of sm_90. Below is the most that one of these ten kernels uses; spilled registers
would be in local memory. \`scripts/check-cuda.mjs\` looks at all kernels.

| | ${counted.map(({ architecture }) => `sm_${architecture}`).join(' | ')} |
|---|${counted.map(() => '---:|').join('')}
${everywhere
  .map((one) =>
    line(titleOf(one), (of) => `${cellOf(of, one, 'statistics')} / ${cellOf(of, one, 'gradient')}`),
  )
  .join('\n')}
${line('registers of a thread', ({ uses: [registers] }) => Math.max(...registers))}
${line('bytes of local memory', ({ uses: [, local] }) => Math.max(...local))}
`;
}

/** Names what rises or falls by more than a third. */
function steepOf(classes) {
  const steep = Object.entries(classes).flatMap(([kernel, counts]) =>
    stepsOf(counts)
      .filter(({ change }) => Math.abs(change) > 1 / 3)
      .map(({ to }) => `${kernel} from ${to - 1} to ${to}`),
  );
  if (steep.length === 0) return 'No change is larger than a third.';
  return `Larger than a third: ${steep.join(', ')}.`;
}

function pageOf(rows, heads, classes, architectures, finishes) {
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

From one number of classes to the next, from 1 to 1000, the instructions an element
of the ${largestSteps('statistics', classes.statistics)},
those of the ${largestSteps('gradient', classes.gradient)}.
They rise where one class more takes more threads: most of these then have one class less than they have room for. ${steepOf(classes)}

| | statistics: instructions | share of a copy | bound by | gradient: instructions | share of a copy | bound by |
|---|---:|---:|---|---:|---:|---|
${titles.map((title) => lineOf(rows.filter((row) => titleOf(row) === title))).join('\n')}
${finishesOf(finishes)}${architecturesOf(architectures)}${headsOf(heads)}`;
}

const [width, height, margin] = [760, 320, 48];

/** Lines over the number of classes, which grows by factors. */
function chartOf(classes) {
  const most = Math.ceil(Math.max(...classes.statistics, ...classes.gradient) / 10) * 10;
  const x = (number) => margin + ((width - 2 * margin) * Math.log(number)) / Math.log(1000);
  const y = (count) => height - margin - ((height - 2 * margin) * count) / most;
  const text = (at, words, more = '') =>
    `<text x="${at[0].toFixed(0)}" y="${at[1].toFixed(0)}" ${more}>${words}</text>`;
  const parts = [];
  for (let count = 0; count <= most; count += 10) {
    parts.push(`<path d="M${margin} ${y(count)}H${width - margin}" stroke="#ddd"/>`);
    parts.push(text([margin - 6, y(count) + 4], count, 'text-anchor="end"'));
  }
  for (const number of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]) {
    parts.push(text([x(number), height - margin + 18], number, 'text-anchor="middle"'));
  }
  for (const [i, [kernel, colour]] of [
    ['statistics', '#1f77b4'],
    ['gradient', '#d62728'],
  ].entries()) {
    const points = classes[kernel].map((count, c) => [x(c + 1), y(count)].map((n) => n.toFixed(1)));
    parts.push(
      `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.2"/>`,
    );
    parts.push(text([margin + 8 + 80 * i, height - margin - 8], kernel, `fill="${colour}"`));
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

/** classes: those of classes.json. */
export function writeReport(all, classes, architectures, finishes) {
  const rows = all.filter(({ channels }) => channels === 0);
  const heads = all.filter(({ channels }) => channels > 0);
  writeFileSync(
    path.join(folder, 'counts.md'),
    pageOf(rows, heads, classes, architectures, finishes),
  );
  writeFileSync(path.join(folder, 'counts.svg'), chartOf(classes));
}
