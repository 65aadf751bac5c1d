// The numbers of docs/choosing.md: every table row and sentence is made here and looked for on the page.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  BoundaryLoss,
  DiceCELoss,
  DiceLoss,
  GeneralizedDiceLoss,
  HausdorffLoss,
  type Loss,
  type LossOptions,
  SegmentationMetrics,
  SoftClDiceLoss,
  type Tensor,
  TverskyLoss,
} from '../../lib/index.js';
import { encodeHalf } from '../support/half.js';
import { Random } from '../support/random.js';

const page = readFileSync(
  path.join(__dirname, '..', '..', 'docs', 'choosing.md'),
  'utf8',
).replaceAll(/\s+/g, ' ');

/** Expects these words on the page, however its lines are broken. */
const says = (...words: string[]) => {
  for (const text of words) expect(page).toContain(text);
};

/** As the page writes numbers: four decimals, no leading zero. */
const four = (x: number): string =>
  Number.isInteger(x) ? String(x) : x.toFixed(4).replace(/^0/, '');

/** [count, value] pairs, one after the other. */
const runs = (...pairs: [number, number][]): number[] =>
  pairs.flatMap(([count, value]) => Array<number>(count).fill(value));

const float = (values: number[], shape: number[]) => ({ data: Float64Array.from(values), shape });
const labels = (values: number[], shape: number[]) => ({ data: Uint8Array.from(values), shape });

const lossOf = (loss: Loss, p: number[], t: number[]): number =>
  loss.value(float(p, [1, 1, p.length]), labels(t, [1, 1, t.length])).value.itemSync();

test('absent classes', () => {
  const p = float(runs([100, 0.9], [900, 0.01], [1000, 0.01]), [2, 1, 1000]);
  const t = labels(runs([100, 1], [1900, 0]), [2, 1, 1000]);
  const table: [string, LossOptions][] = [
    ['{}', {}],
    ["{ absent: 'skip' }", { absent: 'skip' }],
    ["{ absent: 'perfect' }", { absent: 'perfect' }],
    ["{ absent: 'worst' }", { absent: 'worst' }],
    ['{ smoothNumerator: 1, smoothDenominator: 1 }', { smoothNumerator: 1, smoothDenominator: 1 }],
    ['{ batch: true }', { batch: true }],
  ];
  for (const [text, options] of table) {
    const { value, perClass, grad } = new DiceLoss(options).valueAndGrad(p, t);
    const [first, second] = perClass.data as Float64Array as unknown as [number, number?];
    const slope = four(grad.data[1000] as number);
    const losses =
      second === undefined ? `${four(first)}, of both |` : `${four(first)} | ${four(second)}`;
    says(`| \`${text}\` | ${losses} | ${four(value.itemSync())} | ${slope} |`);
  }
  const smooth = new DiceLoss({ smoothNumerator: 1, smoothDenominator: 1 });
  says(`one missed voxel of one costs .5 instead of ${lossOf(new DiceLoss(), [0], [1])}`);
  expect(lossOf(smooth, [0], [1])).toBe(0.5);
});

describe('imbalance', () => {
  test('cross-entropy and Dice of the prior everywhere', () => {
    const t = runs([10, 1], [990, 0]);
    const z = float(runs([1000, Math.log(0.01 / 0.99)]), [1, 1, 1000]);
    const { parts } = new DiceCELoss({ activation: 'sigmoid' }).value(z, labels(t, [1, 1, 1000]));
    const [dice, crossEntropy] = (parts as Tensor).data as unknown as [number, number];
    const linear = lossOf(new DiceLoss({ denominator: 'linear' }), runs([1000, 0.01]), t);
    says(`The binary cross-entropy is ${four(crossEntropy)}`);
    says(`the Dice loss is ${four(dice)} (linear: ${linear.toFixed(4).slice(1)})`);
  });

  test('Tversky', () => {
    const t = runs([100, 1], [100, 0]);
    for (const [text, options] of [
      ['`{ alpha: 0.5, beta: 0.5 }` (Dice)', { alpha: 0.5, beta: 0.5 }],
      ['`{ alpha: 0.3, beta: 0.7 }`', { alpha: 0.3, beta: 0.7 }],
      ['`{ alpha: 0.3, beta: 0.7, gamma: 4 / 3 }`', { alpha: 0.3, beta: 0.7, gamma: 4 / 3 }],
    ] as const) {
      const loss = new TverskyLoss(options);
      const [missed, many] = [90, 110].map((n) => lossOf(loss, runs([n, 1], [200 - n, 0]), t));
      says(`| ${text} | ${four(missed as number)} | ${four(many as number)} |`);
    }
  });

  test('the slope of focal Tversky over r, which p is where one voxel has t = 1 and alpha = beta = 1', () => {
    const slope = (p: number, gamma: number) =>
      new TverskyLoss({ alpha: 1, beta: 1, gamma }).valueAndGrad(float([p], [1]), labels([1], [1]))
        .grad.data[0] as number;
    expect(slope(0.3, 1)).toBeCloseTo(-1, 6);
    says(`its slope is ${(slope(0.9, 4 / 3) / slope(0.1, 4 / 3)).toFixed(2)} times as large`);
    expect(slope(0.1, 0.5) / slope(0.9, 0.5)).toBeCloseTo(9, 4);
  });

  test('generalized Dice', () => {
    const t = labels(runs([990, 0], [10, 1]), [1, 1000]);
    const shape = [1, 2, 1000];
    const missed = float(runs([1000, 1], [1000, 0]), shape);
    const many = float(runs([980, 1], [20, 0], [980, 0], [20, 1]), shape);
    const both = (loss: Loss) =>
      [missed, many].map((p) => loss.value(p, t).value.itemSync().toFixed(4).slice(1)).join(' | ');
    for (const weighting of ['square', 'simple', 'uniform'] as const)
      says(`| \`'${weighting}'\` | ${both(new GeneralizedDiceLoss({ weighting }))} |`);
    says(`| (\`DiceLoss\`) | ${both(new DiceLoss())} |`);
  });
});

test('distances', () => {
  const square = (wrong: number) =>
    Array.from({ length: 256 }, (_, i) => {
      const [y, x] = [Math.floor(i / 16), i % 16];
      return (y >= 5 && y < 11 && x >= 2 && x < 8) || i === wrong ? 1 : 0;
    });
  const [t, shape] = [square(-1), [1, 1, 16, 16]];
  const probabilities = { activation: 'none' } as const;
  const losses = [
    new DiceLoss(),
    new BoundaryLoss(probabilities),
    new HausdorffLoss(probabilities),
  ];
  for (const [text, steps] of [
    ['beside the square', 1],
    ['7 pixels away', 7],
  ] as const) {
    const p = float(square(8 * 16 + 7 + steps), shape);
    const numbers = losses.map((loss) =>
      loss.value(p, labels(t, shape)).value.itemSync().toFixed(4).replace('0.', '.'),
    );
    says(`| ${text} | ${numbers.join(' | ')} |`);
  }
});

test('thin structures', () => {
  const shape = [1, 1, 17, 17];
  const found = (isMissing: (y: number, x: number) => boolean) =>
    Array.from({ length: 289 }, (_, i) => {
      const [y, x] = [Math.floor(i / 17), i % 17];
      const isThere = ((y >= 2 && y < 5) || y === 8) && x >= 1 && x < 16;
      return isThere && !isMissing(y, x) ? 1 : 0;
    });
  const t = labels(
    found(() => false),
    shape,
  );
  const plain = { activation: 'none', smoothNumerator: 0, smoothDenominator: 0 } as const;
  for (const [text, isMissing] of [
    ['5 pixels of the line', (y: number, x: number) => y === 8 && x >= 6 && x < 11],
    ["5 columns of the bar's end", (y: number, x: number) => y < 8 && x >= 11],
  ] as const) {
    const numbers = [new DiceLoss(plain), new SoftClDiceLoss(plain)].map((loss) =>
      four(loss.value(float(found(isMissing), shape), t).value.itemSync()),
    );
    says(`| ${text} | ${numbers.join(' | ')} |`);
  }
});

test('batch pooling', () => {
  const p = float(runs([10, 0], [990, 1], [1000, 0], [2000, 0]), [2, 1, 2000]);
  const t = labels(runs([1000, 1], [1000, 0], [10, 1], [1990, 0]), [2, 1, 2000]);
  const [alone, pooled] = [false, true].map((batch) =>
    new DiceLoss({ batch }).value(p, t).value.itemSync().toFixed(4).slice(1),
  );
  says(`per sample the loss is ${alone}, pooled ${pooled}.`);
});

test('half precision', () => {
  const [N, C, S] = [2, 3, 128 ** 3];
  const random = new Random(1);
  const logits = new Uint16Array(N * C * S);
  // Random numbers, repeated; the period is prime, so that no two classes have the same.
  const period = 4099;
  for (let i = 0; i < period; i++) logits[i] = encodeHalf(8 * random.uniform() - 4, 'float16');
  for (let n = period; n < logits.length; n *= 2) logits.copyWithin(n, 0, n);
  const truth = { data: new Uint8Array(N * S), shape: [N, S] };
  const run = 2 ** 14; // voxels of the same class, one after the other
  for (let i = 0; i < truth.data.length / run; i++) truth.data.fill(i % 3, i * run, (i + 1) * run);
  const x = { data: logits, shape: [N, C, S], dtype: 'float16' as const };

  const zeros = (loss: Loss, options: { gradScale?: number; gradDtype?: 'float32' }): string => {
    const { data } = loss.valueAndGrad(x, truth, options).grad;
    let count = 0;
    const values = data as Uint16Array | Float32Array;
    const zeros = values instanceof Uint16Array ? [0, 0x8000] : [0, 0];
    for (let i = 0; i < values.length; i++)
      count += values[i] === zeros[0] || values[i] === zeros[1] ? 1 : 0;
    const percent = (100 * count) / data.length;
    return `${percent < 1 ? percent.toFixed(1).replace(/^0/, '').replace('.0', '0') : percent.toFixed(0)}%`;
  };
  const [dice, both] = [new DiceLoss({ activation: 'softmax' }), new DiceCELoss()];
  for (const [text, options] of [
    ['float16', {}],
    ['float16, `gradScale: 2 ** 10`', { gradScale: 2 ** 10 }],
    ['float16, `gradScale: 2 ** 16`', { gradScale: 2 ** 16 }],
    ["`gradDtype: 'float32'`", { gradDtype: 'float32' }],
  ] as const)
    says(`| ${text} | ${zeros(dice, options)} | ${zeros(both, options)} |`);
});

test('micro Dice of exclusive classes is the accuracy of the voxels', () => {
  const random = new Random(2);
  const draw = () => labels([...random.array(500, () => random.integer(4))], [1, 500]);
  const [p, t] = [draw(), draw()];
  const metrics = new SegmentationMetrics({ classes: 4, decision: 'labels' }).update(p, t);
  const right = p.data.filter((c, i) => c === t.data[i]).length / 500;
  expect(metrics.average('dice', 'micro')).toBeCloseTo(right, 15);
});
