// A baseline that uses brightness only: two thresholds, chosen on the training slices.
import type { Slices } from './data.js';

/** Below the first: outside; from the second on: white matter; between them: grey. */
type Thresholds = readonly [grey: number, white: number];

export const classify = (images: Float32Array, [grey, white]: Thresholds): Uint8Array =>
  Uint8Array.from(images, (v) => (v < grey ? 0 : v < white ? 1 : 2));

/** The pair of thresholds with the largest mean Dice of grey and white matter, of 200 values from dark to bright. */
export function chooseThresholds({ images, labels }: Slices): Thresholds {
  const bins = 200;
  const darkest = images.reduce((a, b) => Math.min(a, b));
  const step = (images.reduce((a, b) => Math.max(a, b)) - darkest) / bins;
  // below[c][b]: the pixels of class c that are darker than threshold b.
  const below = [0, 1, 2].map(() => new Float64Array(bins + 2));
  images.forEach((v, i) => {
    below[labels[i]][Math.floor((v - darkest) / step) + 1] += 1;
  });
  for (const sums of below) for (let b = 1; b < sums.length; b++) sums[b] += sums[b - 1];

  const end = bins + 1;
  const dice = (c: number, from: number, to: number) => {
    const named = below.reduce((sum, of) => sum + of[to] - of[from], 0);
    return (2 * (below[c][to] - below[c][from])) / (named + below[c][end]);
  };
  let best = { grey: 0, white: 0, mean: 0 };
  for (let grey = 0; grey <= end; grey++) {
    for (let white = grey; white <= end; white++) {
      const mean = (dice(1, grey, white) + dice(2, white, end)) / 2;
      if (mean > best.mean) best = { grey, white, mean };
    }
  }
  return [darkest + best.grey * step, darkest + best.white * step];
}
