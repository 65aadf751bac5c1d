// Step, loss and time left: a bar on a terminal, a line every now and then elsewhere.
import { SingleBar } from 'cli-progress';
import { isRank } from './ranks.js';

export class Progress {
  #name: string;
  #steps: number;
  #start = performance.now();
  #bar: SingleBar | undefined;

  constructor(name: string, steps: number) {
    this.#name = name;
    this.#steps = steps;
    // A launcher may give ranks a terminal where there is none.
    if (!process.stdout.isTTY || isRank()) return;
    this.#bar = new SingleBar({
      format: `${name} {bar} step {value}/{total}, loss {loss}, {left} left`,
      barsize: 24,
      barCompleteChar: '#',
      barIncompleteChar: '-',
      stream: process.stdout,
    });
    this.#bar.start(steps, 0, { loss: '-', left: '-' });
  }

  update(step: number, loss: number): void {
    const perStep = (performance.now() - this.#start) / 1000 / step;
    const left = `${Math.round(perStep * (this.#steps - step))} s`;
    if (this.#bar) {
      this.#bar.update(step, { loss: loss.toFixed(4), left });
    } else if (step % Math.ceil(this.#steps / 10) === 0 || step === this.#steps) {
      console.log(
        `${this.#name}: step ${step}/${this.#steps}, loss ${loss.toFixed(4)}, ${left} left`,
      );
    }
  }

  stop(): void {
    this.#bar?.stop();
  }
}
