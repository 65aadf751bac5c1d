// The problem that the other libraries solve.
import { Random } from '../../support/random.js';
import type { Nested } from './nested.js';

export const [N, S] = [2, 31];
const random = new Random(7);
const nested = (A: number, B: number, next: () => number): Nested =>
  Array.from({ length: N }, () => Array.from({ length: A }, () => Array.from({ length: B }, next)));

export const logits = nested(3, S, () => 2 * random.normal());
export const soft = nested(3, S, () => random.uniform());
export const probabilities = nested(3, S, () => 0.02 + 0.96 * random.uniform());
export const labels = nested(1, S, () => random.integer(3)).flat();
export const onehot = labels.map((row) =>
  [0, 1, 2].map((c) => row.map((label) => (label === c ? 1 : 0))),
);
export const ignoring = labels.map((row) => row.map((label, s) => (s % 5 === 2 ? 255 : label)));
export const without2 = labels.map((row) => row.map((label) => label % 2));
export const mask = labels.map((row) => row.map((_, s) => (s % 4 === 1 ? 0 : 1)));
export const logits1 = nested(1, S, () => 2 * random.normal());
export const labels1 = nested(1, S, () => random.integer(2)).flat();

export const softmax = (x: Nested): Nested =>
  x.map((sample) => {
    const e = sample.map((row) => row.map(Math.exp));
    return e.map((row) =>
      row.map((v, s) => v / e.reduce((sum, other) => sum + (other[s] as number), 0)),
    );
  });
