// Every nth case of a matrix, counted.

/** The n of `WARPDICE_TEST_EVERY`; undefined: not set. */
export function readEvery(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const every = Number(text);
  if (Number.isInteger(every) && every >= 1) return every;
  throw new RangeError(`Expected an integer from 1 for WARPDICE_TEST_EVERY but received '${text}'`);
}

export class PartOfCases {
  readonly #every: number;
  #cases = 0;
  #run = 0;

  constructor(every: number) {
    this.#every = every;
  }

  /** Whether the next case is to be run. */
  next(): boolean {
    const isRun = this.#cases++ % this.#every === 0;
    if (isRun) this.#run++;
    return isRun;
  }

  /** What was left out; undefined: nothing. Throws when nothing was run of what there is. */
  summary(): string | undefined {
    if (this.#run === this.#cases) return undefined;
    const counted = `one case in ${this.#every}, ${this.#run} of ${this.#cases}`;
    if (this.#run === 0) throw new Error(`No case was run: ${counted}`);
    return counted;
  }
}
