// Every loss that README and the pages write out trains as it is written: a linear classifier of the pixels of a real slice
// gets better in a few steps.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import * as warpdice from '../../lib/index.js';

const root = path.join(__dirname, '..', '..');
const pages = ['README.md', 'docs/choosing.md', 'docs/options.md', 'docs/devices.md'];

/**
 * `new DiceLoss({ ... })` in code or in a cell; those of docs/errors.md are mistakes, and have no place here. One of reduction 'none'
 * has no gradient of its own: its values are weighted by the caller.
 */
const written = new Set(
  pages.flatMap((page) => {
    const text = readFileSync(path.join(root, page), 'utf8');
    const losses = [...text.matchAll(/new \w+Loss\((\{[^{}]*\})?\)/g)];
    return losses.map(([one]) => one).filter((one) => !one.includes("reduction: 'none'"));
  }),
);

const C = 3;
const F = 3;
/** Every third pixel of slice 60 of a volume of bytes in the NIfTI format. */
function slice(name: string): Uint8Array {
  const file = gunzipSync(readFileSync(path.join(root, 'examples/data', name)));
  const [width, height] = [file.readInt16LE(42), file.readInt16LE(44)];
  const first = file.readFloatLE(108) + 60 * width * height;
  return new Uint8Array(file.subarray(first, first + width * height).filter((_, i) => i % 3 === 0));
}

const labels = slice('brain-tissue.nii.gz');
const image = Float32Array.from(slice('brain-t1.nii.gz'), (v) => v / 100);
const S = labels.length;
/** Of a pixel: 1, its brightness and the square of it. */
const features = [...Array(F).keys()].map((power) => image.map((v) => v ** power));

function meanDice(logits: Float32Array): number {
  const metrics = new warpdice.SegmentationMetrics({ classes: C });
  metrics.update({ data: logits, shape: [1, C, S] }, { data: labels, shape: [1, S] });
  return metrics.average('dice', 'macro');
}

/** The mean Dice after so many steps of Adam on the weights of the features. */
function train(loss: warpdice.Loss, dense: boolean, steps: number): number {
  const size = C * F;
  const [weights, m, v] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  const target = dense
    ? {
        data: Float32Array.from(
          { length: C * S },
          (_, i) => +(labels[i % S] === Math.floor(i / S)),
        ),
        shape: [1, C, S],
      }
    : { data: labels, shape: [1, S] };
  const logits = new Float32Array(C * S);
  const forward = () => {
    for (let c = 0; c < C; c++) {
      for (let s = 0; s < S; s++) {
        logits[c * S + s] = features.reduce(
          (sum, f, j) => sum + (weights[c * F + j] as number) * (f[s] as number),
          0,
        );
      }
    }
  };
  for (let step = 1; step <= steps; step++) {
    forward();
    const { grad } = loss.valueAndGrad({ data: logits, shape: [1, C, S] }, target);
    for (let i = 0; i < size; i++) {
      const feature = features[i % F] as Float32Array;
      const row = (grad.data as Float32Array).subarray(
        Math.floor(i / F) * S,
        (Math.floor(i / F) + 1) * S,
      );
      const g = row.reduce((sum, x, s) => sum + x * (feature[s] as number), 0);
      m[i] = 0.9 * (m[i] as number) + 0.1 * g;
      v[i] = 0.99 * (v[i] as number) + 0.01 * g * g;
      const [first, second] = [
        (m[i] as number) / (1 - 0.9 ** step),
        (v[i] as number) / (1 - 0.99 ** step),
      ];
      weights[i] = (weights[i] as number) - (0.2 * first) / (Math.sqrt(second) + 1e-12);
    }
  }
  forward();
  return meanDice(logits);
}

test('the pages write out losses', () => {
  expect(written.size).toBeGreaterThan(5);
});

test.each([...written])('%s trains', (expression) => {
  const loss = new Function(...Object.keys(warpdice), `return ${expression}`)(
    ...Object.values(warpdice),
  ) as warpdice.Loss;
  const dense = expression.includes("'sigmoid'");
  expect(train(loss, dense, 0)).toBeLessThan(0.3);
  // Without an activation the same steps end at .47.
  expect(train(loss, dense, 40)).toBeGreaterThan(0.75);
});
