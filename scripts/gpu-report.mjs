// The report of scripts/gpu.mjs: a JSON file and, beside it, a summary for people.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** The steps of an earlier run of the same commit on the same GPU, by name: with those of this run they are one. */
export function earlierSteps(stem, { gpu, commit }) {
  if (!existsSync(`${stem}.json`)) return new Map();
  const earlier = JSON.parse(readFileSync(`${stem}.json`, 'utf8'));
  const same = earlier.commit === commit && earlier.gpu.name === gpu.name;
  return new Map((same ? earlier.steps : []).map((step) => [step.name, step]));
}

/** Writes both files, and returns the summary. */
export function save(stem, report) {
  writeFileSync(`${stem}.json`, `${JSON.stringify(report, null, 1)}\n`);
  const text = summary(report);
  writeFileSync(`${stem}.md`, text);
  return text;
}

function summary({ gpu, commit, date, steps, benchmark }) {
  const lines = [
    `# ${gpu.name}, ${date.slice(0, 10)}`,
    '',
    `Driver ${gpu.driver}, compute capability ${gpu.capability}, commit ${commit}.`,
    '',
    '| step | outcome | seconds | command |',
    '|---|---|---|---|',
    ...steps.map(({ name, outcome, because, seconds, command }) => {
      const words = because === undefined ? outcome : `${outcome}: ${because}`;
      return `| ${name} | ${words} | ${seconds ?? ''} | \`${command}\` |`;
    }),
  ];
  for (const result of benchmark?.results ?? []) lines.push('', ...caseLines(result));
  return `${lines.join('\n')}\n`;
}

function caseLines({ case: name, rows, faults, skipped, targets }) {
  const lines = [`## ${name}`, ''];
  if (skipped) lines.push(`Skipped: ${skipped}`);
  const ofHead = Object.values(rows ?? {}).some((row) => row.tflop_per_s !== undefined);
  const speeds = ofHead ? ['TFLOP/s'] : ['GB/s', 'of copy'];
  const line = (cells) => `| ${cells.join(' | ')} |`;
  if (rows) {
    const titles = ['', 'ms', ...speeds, 'x warpdice'];
    lines.push(line(titles), line(titles.map(() => '---')));
  }
  for (const [row, of] of Object.entries(rows ?? {})) {
    const speed = ofHead
      ? [of.tflop_per_s.toFixed(2)]
      : [of.gb_per_s.toFixed(0), of.of_copy?.toFixed(2) ?? ''];
    const ratio = of.x_warpdice?.median.toFixed(2) ?? '';
    lines.push(line([row, of.ms.median.toFixed(4), ...speed, ratio]));
  }
  for (const [row, fault] of Object.entries(faults ?? {})) lines.push('', `${row}: ${fault}`);
  for (const { target, limit, measured, met } of targets ?? []) {
    const verdict = met ? 'met' : 'not met';
    lines.push('', `Target: ${target} at least ${limit}: ${measured.toFixed(2)}, ${verdict}.`);
  }
  return lines;
}
