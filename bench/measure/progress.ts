// Progress on stderr: a bar on a terminal, else a line whenever the group changes.
import cliProgress from 'cli-progress';

let bar: cliProgress.SingleBar | undefined;
let lastName = '';

export function showProgress(name: string, stage: string, share: number): void {
  if (!process.stderr.isTTY) {
    if (name !== lastName) process.stderr.write(`${name}\n`);
    lastName = name;
    return;
  }
  if (!bar) {
    bar = new cliProgress.SingleBar({
      format: '{bar} {percentage}% {name}, {stage}',
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
      gracefulExit: false, // main.ts ends at Ctrl-C
    });
    bar.start(1, 0, { name, stage });
  }
  bar.update(share, { name, stage });
}

export function endProgress(): void {
  bar?.stop();
  bar = undefined;
}
