#!/usr/bin/env node
import { readFileSync, writeFileSync } from 'node:fs';
import { findCases } from './cases.js';
import { evaluate } from './evaluate.js';
import { type EvalOptions, parseOptions, usage } from './options.js';

async function main(): Promise<number> {
  let options: EvalOptions;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`warpdice-eval: ${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  if (options.help) {
    console.log(usage);
    return 0;
  }
  if (options.version) {
    const manifest = new URL('../../package.json', import.meta.url);
    console.log(JSON.parse(readFileSync(manifest, 'utf8')).version);
    return 0;
  }
  try {
    const cases = findCases(options.truth, options.prediction);
    const report = await evaluate(cases, options, cases.length > 1 ? showProgress : () => {});
    if (cases.length > 1) endProgress();
    const { form, plot, summary } = options;
    if (plot !== undefined) writeFileSync(plot, report.toSvg());
    if (form === 'json') console.log(JSON.stringify(report, null, 2));
    else
      process.stdout.write(
        form === 'csv' ? report.toCsv() : report.toString({ samples: !summary }),
      );
    return 0;
  } catch (error) {
    endProgress();
    for (const line of (error as Error).message.split('\n'))
      console.error(`warpdice-eval: ${line}`);
    return 1;
  }
}

/** On a terminal one line that changes, else a line for each tenth of the work. */
function showProgress(done: number, total: number, name: string): void {
  if (process.stderr.isTTY) {
    process.stderr.write(
      `\r${done + 1}/${total} ${name}`.slice(0, process.stderr.columns) + clearLine,
    );
  } else if (Math.floor((done * 10) / total) !== Math.floor(((done - 1) * 10) / total)) {
    process.stderr.write(`${done + 1}/${total} ${name}\n`);
  }
}

const clearLine = '\x1b[K';

function endProgress(): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${clearLine}`);
}

// A reader that has seen enough, such as head, is no problem.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});
process.exitCode = await main();
