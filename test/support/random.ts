// Random numbers that are the same on every run and machine (mulberry32).

const { floor, imul } = Math;

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let x = imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    x = (x + imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer in [0, below). */
  integer(below: number): number {
    return floor(this.uniform() * below);
  }

  /** Roughly normal, mean 0 and variance 1: the sum of 4 uniform numbers. */
  normal(): number {
    return (this.uniform() + this.uniform() + this.uniform() + this.uniform() - 2) * 1.732;
  }

  array(length: number, next: () => number): Float64Array {
    const array = new Float64Array(length);
    for (let i = 0; i < length; i++) array[i] = next();
    return array;
  }
}
