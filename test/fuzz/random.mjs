// Random numbers from a seed, so that every finding can be made again.

/** mulberry32 (public domain): 32 bits a step. */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** From 0 to 1, 1 excluded. */
  number() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from 0 to n - 1. */
  below(n) {
    return Math.floor(this.number() * n);
  }

  chance(p) {
    return this.number() < p;
  }

  pick(list) {
    return list[this.below(list.length)];
  }
}
