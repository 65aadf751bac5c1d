// reproducible: true. The sums of any parts that end where runs end, added in any order, give the bits of the whole.
import { describe, expect, test } from '@jest/globals';
import {
  CrossEntropyLoss,
  DiceCELoss,
  DiceFocalLoss,
  DiceLoss,
  FocalLoss,
  GeneralizedDiceLoss,
  getThreads,
  JaccardLoss,
  Loss,
  linearLogits,
  Statistics,
  setThreads,
  Tensor,
  TverskyLoss,
} from '../../lib/index.js';

const [N, C] = [2, 3];
const run = Loss.runVoxels(C);
const S = 4 * run + 77;
let seed = 7;
const random = () => {
  seed = (seed * 1103515245 + 12345) % 2 ** 31;
  return seed / 2 ** 31;
};
// float64: sums of float32 are short numbers, and add up without rounding by themselves.
const z = Float64Array.from({ length: N * S * C }, () => 6 * random() - 3);
const y = Uint8Array.from({ length: N * S }, () => Math.floor(C * random()));
const w = Float64Array.from({ length: N * S }, random);

/** Voxels [from, to) of sample n. */
function part(n: number, from: number, to: number) {
  const [a, b] = [n * S + from, n * S + to];
  return {
    x: Tensor.from(z.slice(a * C, b * C), [1, to - from, C]),
    y: Tensor.from(y.slice(a, b), [1, to - from]),
    weight: Tensor.from(w.slice(a, b), [1, to - from]),
  };
}
const whole = {
  x: Tensor.from(z, [N, S, C]),
  y: Tensor.from(y, [N, S]),
  weight: Tensor.from(w, [N, S]),
};

/** The same bits; toEqual would look at each of 100,000 elements for itself. */
function expectBits(got: Tensor, expected: Tensor, begin = 0): void {
  const bytes = ({ data }: Tensor, from: number, size: number) => {
    const { buffer, byteOffset, BYTES_PER_ELEMENT } = data as Float32Array;
    return Buffer.from(
      buffer as ArrayBuffer,
      byteOffset + from * BYTES_PER_ELEMENT,
      size * BYTES_PER_ELEMENT,
    );
  };
  const [a, b] = [bytes(got, 0, got.size), bytes(expected, begin, got.size)];
  expect(a.length).toBe(b.length);
  expect(a.equals(b)).toBe(true);
}

const options = { layout: 'channels-last', activation: 'softmax', reproducible: true } as const;
const pooled = { ...options, batch: true } as const;
const losses = [
  ['DiceLoss', new DiceLoss(pooled)],
  ['JaccardLoss', new JaccardLoss(pooled)],
  ['TverskyLoss', new TverskyLoss(pooled)],
  ['GeneralizedDiceLoss', new GeneralizedDiceLoss(pooled)],
  ['DiceCELoss', new DiceCELoss({ ...pooled, crossEntropy: { labelSmoothing: 0.1 } })],
  ['DiceFocalLoss', new DiceFocalLoss(pooled)],
] as const;

/** The edges of parts, whose sums are added in that order. */
const cuts: [string, [n: number, from: number, to: number][]][] = [
  [
    'samples',
    [
      [0, 0, S],
      [1, 0, S],
    ],
  ],
  [
    'samples, the second first',
    [
      [1, 0, S],
      [0, 0, S],
    ],
  ],
  [
    'one run, the rest, the other sample',
    [
      [0, run, S],
      [1, 0, S],
      [0, 0, run],
    ],
  ],
  [
    'single runs, from the last one',
    [1, 0].flatMap((n) =>
      [4, 3, 2, 1, 0].map(
        (i) => [n, i * run, Math.min(S, (i + 1) * run)] as [number, number, number],
      ),
    ),
  ],
];

describe.each(losses)('%s', (_, loss) => {
  const { weight } = whole;
  const expected = loss.valueAndGrad(whole.x, whole.y, { weight });

  test.each(cuts)('%s', (_, parts) => {
    const sums = parts
      .map((edges) => part(...edges))
      .map((own) => loss.statistics(own.x, own.y, { weight: own.weight }))
      .reduce((a, b) => a.add(b));
    expectBits(loss.fromStatistics(sums).value, expected.value);
    expectBits(loss.fromStatistics(sums).perClass, expected.perClass);
    for (const [n, from, to] of parts) {
      const own = part(n, from, to);
      const grad = loss.gradient(own.x, own.y, sums, { weight: own.weight });
      expectBits(grad, expected.grad, (n * S + from) * C);
    }
  });
});

test.each([
  ['CrossEntropyLoss', new CrossEntropyLoss({ layout: 'channels-last', reproducible: true })],
  ['FocalLoss', new FocalLoss({ layout: 'channels-last', reproducible: true })],
  ['DiceLoss per sample', new DiceLoss(options)],
] as const)('%s: parts of one sample, and with a hook', (_, loss) => {
  const own = part(0, 0, S);
  const expected = loss.valueAndGrad(own.x, own.y);
  const [first, second] = [part(0, 0, 2 * run), part(0, 2 * run, S)];
  const sums = loss.statistics(second.x, second.y).add(loss.statistics(first.x, first.y));
  expect(loss.fromStatistics(sums).value.data).toEqual(expected.value.data);
  const grad = loss.gradient(second.x, second.y, sums);
  expectBits(grad, expected.grad, 2 * run * C);
});

test('channels first, sigmoid: parts are arrays of their own', () => {
  const loss = new DiceFocalLoss({ activation: 'sigmoid', reproducible: true });
  const classes = 2;
  const own = Loss.runVoxels(classes);
  const size = 2 * own + 5;
  const rows = (from: number, to: number) => {
    const row = (c: number) => z.subarray(c * size + from, c * size + to);
    const x = new Float64Array(classes * (to - from));
    x.set(row(0));
    x.set(row(1), to - from);
    return [
      Tensor.from(x, [1, classes, to - from]),
      Tensor.from(
        y.slice(from, to).map((label) => label % 2),
        [1, to - from],
      ),
    ] as const;
  };
  const all = loss.valueAndGrad(...rows(0, size));
  const parts = [rows(own, size), rows(0, own)] as const;
  const sums = loss.statistics(...parts[0]).add(loss.statistics(...parts[1]));
  expectBits(loss.fromStatistics(sums).value, all.value);
  const grad = loss.gradient(...parts[1], sums).data as Float64Array;
  expect(
    Buffer.from(grad.slice(0, own).buffer).equals(
      Buffer.from((all.grad.data as Float64Array).slice(0, own).buffer),
    ),
  ).toBe(true);
});

test('many classes: runs stay short where those of other calls become longer with the volume', () => {
  const loss = new DiceLoss(pooled);
  const classes = 600;
  const own = Loss.runVoxels(classes);
  const size = 40 * own;
  const logits = Float64Array.from({ length: size * classes }, (_, i) => z[i % z.length] as number);
  const labels = Uint16Array.from({ length: size }, (_, i) => (7 * i) % classes);
  const rows = (from: number, to: number) =>
    [
      Tensor.from(logits.subarray(from * classes, to * classes), [1, to - from, classes]),
      Tensor.from(labels.subarray(from, to), [1, to - from], { dtype: 'uint16' }),
    ] as const;
  const all = loss.valueAndGrad(...rows(0, size));
  const [first, second] = [rows(0, 7 * own), rows(7 * own, size)];
  const sums = loss.statistics(...second).add(loss.statistics(...first));
  expectBits(loss.fromStatistics(sums).value, all.value);
  expectBits(loss.gradient(...second, sums), all.grad, 7 * own * classes);
});

test('any number of threads', () => {
  const [, loss] = losses[4];
  const before = getThreads();
  const of = (threads: number) => {
    setThreads(threads);
    const { value, grad } = loss.valueAndGrad(whole.x, whole.y);
    return [value, grad] as const;
  };
  const one = of(1);
  for (const threads of [2, 3, 8]) {
    for (const [i, result] of of(threads).entries()) expectBits(result, one[i] as Tensor);
  }
  setThreads(before);
});

test('close to what the loss is without the option, and not the same', () => {
  const plain = new DiceCELoss({ ...pooled, reproducible: false });
  const [a, b] = [new DiceCELoss(pooled), plain].map((one) => one.valueAndGrad(whole.x, whole.y));
  expect(Math.abs(Number(a?.value.itemSync()) - Number(b?.value.itemSync()))).toBeLessThan(1e-9);
  expect(new DiceCELoss(pooled).statistics(whole.x, whole.y).data).not.toEqual(
    plain.statistics(whole.x, whole.y).data,
  );
});

test('sums are multiples of 2^-20; infinities and NaN stay what they are', () => {
  const [, loss] = losses[0];
  const { data } = loss.statistics(whole.x, whole.y, { weight: whole.weight });
  expect(data.every((sum) => Number.isInteger(sum * 2 ** 20))).toBe(true);
  const x = Tensor.from(Float32Array.of(Number.NaN, 0, 0), [1, 1, 3]);
  expect(loss.statistics(x, Tensor.from(Uint8Array.of(0), [1, 1])).data[1]).toBeNaN();
});

test('statistics of another kind do not mix', () => {
  const own = part(0, 0, 100);
  const plain = new DiceLoss({ ...pooled, reproducible: false }).statistics(own.x, own.y);
  const sums = new DiceLoss(pooled).statistics(own.x, own.y);
  expect(() => sums.add(plain)).toThrow(/reproducible \w+\) for other but received/);
  expect(Statistics.fromArray(sums.toArray()).data).toEqual(sums.data);
});

test('wrong arguments', () => {
  expect(() => new DiceLoss({ reproducible: 1 as never })).toThrow(
    'Expected true or false for reproducible but received 1',
  );
  const features = { data: new Float32Array(8), shape: [1, 2, 4] };
  const logits = linearLogits(features, { data: new Float32Array(6), shape: [3, 2] });
  const target = { data: new Uint8Array(4), shape: [1, 4] };
  expect(() =>
    new DiceLoss({ activation: 'softmax', reproducible: true }).valueAndGrad(logits, target),
  ).toThrow('reproducible: true cannot be combined with linearLogits');
  expect(() => Loss.runVoxels(0)).toThrow(/for classes but received 0/);
  expect([1, 3, 4, 117, 100_000].map((classes) => Loss.runVoxels(classes))).toEqual([
    32768, 11008, 8192, 384, 128,
  ]);
});
