// The Async variants: the same results, off the event loop, overlapping, and on memory that JavaScript may take away meanwhile.

import { stat } from 'node:fs/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  DiceLoss,
  getThreads,
  SegmentationMetrics,
  setThreads,
  Tensor,
  WarpDiceError,
} from '../../lib/index.js';
import { callOptions, gradOptions, makeCase, type Spec } from '../support/cases.js';
import { expectSameBits } from '../support/compare.js';
import { named } from '../support/named.js';
import { runWell } from '../support/process.js';
import { copyOf, detach, full, onShared, type Typed, tensor } from '../support/tensors.js';

type Outcome = Record<'value' | 'perClass' | 'grad', { data: unknown }>;

function expectSame(actual: Outcome, expected: Outcome): void {
  for (const name of ['value', 'perClass', 'grad'] as const) {
    expectSameBits(name, actual[name].data as Typed['data'], expected[name].data as Typed['data']);
  }
}

const specs: Spec[] = [
  { options: { activation: 'softmax' }, spatial: [20_011] },
  {
    options: { activation: 'softmax', layout: 'channels-last', reduction: 'none' },
    C: 19,
    spatial: [1009],
  },
  {
    C: 1,
    options: { activation: 'sigmoid' },
    weight: 'float32',
    dtype: 'bfloat16',
    gradDtype: 'float32',
  },
  { target: 'dense', dtype: 'float64', options: { classWeights: [1, 2, 3] } },
];

describe.each(named(specs))('%s', (_, spec) => {
  const c = makeCase(spec);
  const { loss, predictions, target } = c;
  const options = gradOptions(c);
  const expected = loss.valueAndGrad(predictions, target, options);

  test('every call has the bits of its synchronous form', async () => {
    expectSame(await loss.valueAndGradAsync(predictions, target, options), expected);
    const { value, perClass } = await loss.valueAsync(predictions, target, callOptions(c));
    expectSame({ value, perClass, grad: expected.grad }, expected);
    const statistics = await loss.statisticsAsync(predictions, target, callOptions(c));
    expectSameBits(
      'statistics',
      statistics.data,
      loss.statistics(predictions, target, callOptions(c)).data,
    );
    const grad = await loss.gradientAsync(predictions, target, statistics, options);
    expectSame({ value, perClass, grad }, expected);
  });

  test('shared memory is used where it is', async () => {
    const out = {
      value: onShared(full(expected.value.shape, 7, 'float64')),
      perClass: onShared(full(expected.perClass.shape, 7, 'float64')),
      grad: onShared(full(predictions.shape, 7, expected.grad.dtype)),
    };
    const given = { ...options, out };
    if (c.weight) Object.assign(given, { weight: onShared(c.weight) });
    const result = await loss.valueAndGradAsync(onShared(predictions), onShared(target), given);
    expectSame(out, expected);
    expect(result.grad.data).toBe(out.grad.data);
  });

  test("out on the caller's ArrayBuffers is filled when the promise resolves", async () => {
    const out = {
      value: full(expected.value.shape, 7, 'float64'),
      perClass: full(expected.perClass.shape, 7, 'float64'),
      grad: full(predictions.shape, 7, expected.grad.dtype),
    };
    const result = await loss.valueAndGradAsync(predictions, target, { ...options, out });
    expectSame(out, expected);
    expect(result.grad.data).toBe(out.grad.data);
  });

  test('written over the logits, and accumulated', async () => {
    if (expected.grad.dtype === predictions.dtype) {
      const plain = copyOf(predictions);
      await loss.valueAndGradAsync(plain, target, { ...options, out: { grad: plain } });
      expectSame({ ...expected, grad: plain }, expected);
      const shared = onShared(predictions);
      await loss.valueAndGradAsync(shared, target, { ...options, out: { grad: shared } });
      expectSame({ ...expected, grad: shared }, expected);
    }
    const [a, b] = [
      full(predictions.shape, 1, expected.grad.dtype),
      full(predictions.shape, 1, expected.grad.dtype),
    ];
    loss.valueAndGrad(predictions, target, { ...options, accumulate: true, out: { grad: a } });
    await loss.valueAndGradAsync(predictions, target, {
      ...options,
      accumulate: true,
      out: { grad: b },
    });
    expectSameBits('accumulated', b.data, a.data);
  });

  test('many at once', async () => {
    const cases = Array.from({ length: 12 }, (_, i) => makeCase({ ...spec, seed: i }));
    const wanted = cases.map((d) => d.loss.valueAndGrad(d.predictions, d.target, gradOptions(d)));
    const found = await Promise.all(
      cases.map((d) => loss.valueAndGradAsync(d.predictions, d.target, gradOptions(d))),
    );
    found.forEach((result, i) => {
      expectSame(result, wanted[i] as Outcome);
    });
  });
});

// Large enough that a call cannot be over before the next turn of the event loop.
const big = makeCase({ C: 4, spatial: [500_000], options: { activation: 'softmax' } });
const expectedBig = big.loss.valueAndGrad(big.predictions, big.target);

test('the event loop turns while a call is computed', async () => {
  let turns = 0;
  let done = false;
  const turn = () => {
    turns++;
    if (!done) setImmediate(turn);
  };
  setImmediate(turn);
  // A call may be over before the loop comes to its first turn, but not all: each ends in a turn of its own.
  for (let i = 0; i < 3; i++) await big.loss.valueAndGradAsync(big.predictions, big.target);
  done = true;
  // Those that computed before they returned would all resolve before the first turn.
  expect(turns).toBeGreaterThan(0);
});

test('two calls are under way together, with synchronous ones between', async () => {
  let finished = 0;
  const first = big.loss.valueAndGradAsync(big.predictions, big.target).then((r) => {
    finished++;
    return r;
  });
  const second = big.loss.valueAndGradAsync(big.predictions, big.target).then((r) => {
    finished++;
    return r;
  });
  const between = big.loss.valueAndGrad(big.predictions, big.target);
  expect(finished).toBe(0);
  for (const result of [between, await first, await second]) expectSame(result, expectedBig);
});

test('new results are where their thread has written them, in shared memory', async () => {
  const { loss, predictions, target } = big;
  const onSharedMemory = (data: { buffer: ArrayBufferLike }) =>
    data.buffer instanceof SharedArrayBuffer;
  const { value, perClass, grad } = await loss.valueAndGradAsync(predictions, target);
  const statistics = await loss.statisticsAsync(predictions, target);
  const again = await loss.gradientAsync(predictions, target, statistics);
  for (const { data } of [value, perClass, grad, statistics, again])
    expect(onSharedMemory(data)).toBe(true);
  expect(onSharedMemory(loss.valueAndGrad(predictions, target).grad.data)).toBe(false);
});

describe('during a call', () => {
  const start = (x: Typed, y: Typed, out?: { grad: Typed | Tensor }) =>
    big.loss.valueAndGradAsync(x, y, out ? { out } : {});

  test('inputs may be transferred, and sent to another thread', async () => {
    for (let i = 0; i < 5; i++) {
      const [x, y] = [copyOf(big.predictions), copyOf(big.target)];
      const promise = start(x, y);
      detach(x.data);
      const { port1, port2 } = new MessageChannel();
      port1.postMessage(y.data, [y.data.buffer as ArrayBuffer]);
      expect(x.data.length + y.data.length).toBe(0);
      expectSame(await promise, expectedBig);
      port1.close();
      port2.close();
    }
  });

  test('inputs may be overwritten', async () => {
    const [x, y] = [copyOf(big.predictions), copyOf(big.target)];
    const promise = start(x, y);
    x.data.fill(NaN as never);
    y.data.fill(77 as never);
    expectSame(await promise, expectedBig);
  });

  test('an output that is transferred away is an error that says so, not a crash', async () => {
    const grad = full(big.predictions.shape, 7);
    const promise = start(big.predictions, big.target, { grad });
    detach(grad.data);
    await expect(promise).rejects.toThrow(/^Expected out\.grad to keep its memory.*detached/);
    await expect(promise).rejects.toThrow(TypeError);
    expectSame(await start(big.predictions, big.target), expectedBig);
  });

  test('an output on a resizable ArrayBuffer that shrinks is an error, not a crash', async () => {
    const bytes = big.predictions.data.byteLength;
    const buffer = new (
      ArrayBuffer as unknown as new (
        length: number,
        options: object,
      ) => ArrayBuffer & { resize(n: number): void }
    )(bytes, { maxByteLength: bytes });
    const grad = { data: new Float32Array(buffer, 0, bytes / 4), shape: big.predictions.shape };
    const promise = big.loss.valueAndGradAsync(big.predictions, big.target, { out: { grad } });
    buffer.resize(4096);
    await expect(promise).rejects.toThrow(/out\.grad.*detached or shrunk/);
  });

  test('tensors may be disposed', async () => {
    const handles = [big.predictions, big.target].map((t) => Tensor.from(t.data, t.shape)) as [
      Tensor,
      Tensor,
    ];
    const shared = [big.predictions, big.target].map(onShared) as [Tensor, Tensor];
    for (const [x, y] of [handles, shared]) {
      const promise = big.loss.valueAndGradAsync(x, y);
      x.dispose();
      y.dispose();
      expectSame(await promise, expectedBig);
    }
  });
});

test('a label out of range rejects, writes nothing, and the next call works', async () => {
  const y = copyOf(big.target);
  y.data[123_456] = 9;
  const grad = full(big.predictions.shape, 7);
  const promise = big.loss.valueAndGradAsync(big.predictions, y, { out: { grad } });
  await expect(promise).rejects.toThrow(WarpDiceError);
  await expect(promise).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_LABEL_RANGE', count: 1, index: 123_456, value: 9 }),
  );
  expect((grad.data as Float32Array).every((g) => g === 7)).toBe(true);
  const shared = onShared(full(big.predictions.shape, 7));
  await expect(
    big.loss.valueAndGradAsync(big.predictions, y, { out: { grad: shared } }),
  ).rejects.toThrow('9 at index 123456');
  expect((shared.data as Float32Array).every((g) => g === 7)).toBe(true);
  expectSame(await big.loss.valueAndGradAsync(big.predictions, big.target), expectedBig);
});

test('wrong arguments throw at the call, they do not reject', () => {
  const loss = new DiceLoss();
  const x = tensor([0.5], [1]);
  for (const run of [
    () => loss.valueAsync(x, tensor([1, 1], [2])),
    () => loss.valueAndGradAsync(x, tensor([1, 1], [2])),
    () => loss.statisticsAsync(x, tensor([1, 1], [2])),
    () => loss.gradientAsync(x, tensor([1, 1], [2]), loss.statistics(x, x)),
  ]) {
    expect(run).toThrow(RangeError);
  }
});

// The line in which Async calls wait: beside Node's thread pool, in order, in turns with other threads, and of a bounded size.
describe('the queue', () => {
  const threads = getThreads();
  afterAll(() => setThreads(threads));

  // On shared memory and slow to compute, so that making the calls takes no part of their time.
  const slow = { activation: 'softmax', crossEntropy: {}, focal: { gamma: 1.7 } } as const;
  const big = makeCase({ C: 3, spatial: [200_003], dtype: 'float64', options: slow });
  const [predictions, target] = [onShared(big.predictions), onShared(big.target)];
  const small = makeCase({ C: 3, spatial: [11], dtype: 'float64', options: slow });

  describe('files do not wait for calls', () => {
    const metrics = new SegmentationMetrics({ classes: 3 });
    // Counting is fast.
    const more = Tensor.empty([1, 3, 2_000_003]);
    const labels = Tensor.empty([1, 2_000_003], 'uint8');
    const kinds: [string, () => Promise<unknown>][] = [
      ['valueAsync', () => big.loss.valueAsync(predictions, target)],
      ['statisticsAsync', () => big.loss.statisticsAsync(predictions, target)],
      ['updateAsync', () => metrics.updateAsync(more, labels)],
    ];
    /** How many of 60 calls have ended when a file is there that was asked for after them. */
    async function endedBeforeFile(start: () => Promise<unknown>): Promise<number> {
      let ended = 0;
      const calls = Array.from({ length: 60 }, () =>
        start().then(() => {
          ended++;
        }),
      );
      await stat(__filename);
      const before = ended;
      await Promise.all(calls);
      return before;
    }
    test.each(kinds)('%s', async (_, start) => {
      // On Node's pool the file would come after all but the last few, each time. A busy machine may be late with it for once.
      let fewest = 60;
      for (let i = 0; i < 5 && fewest >= 50; i++)
        fewest = Math.min(fewest, await endedBeforeFile(start));
      expect(fewest).toBeLessThan(50);
    });
  });

  test('with one thread, calls of any size end in the order in which they were made', async () => {
    setThreads(1);
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const { predictions: x, target: y } = i % 3 === 0 ? big : small;
        await big.loss.valueAsync(x, y);
        order.push(i);
      }),
    );
    setThreads(threads);
    expect(order).toEqual(Array.from({ length: 30 }, (_, i) => i));
  });

  test('a call does not wait for the long line of another thread', async () => {
    expect(Number(await runWell('in-line.mjs', { args: ['turns'] }))).toBeGreaterThan(5);
  });

  test('a worker that is terminated drops the calls in line', async () => {
    expect(Number(await runWell('in-line.mjs', { args: ['terminate'] }))).toBeGreaterThan(5);
  });

  test('copies of pending calls have a bound', async () => {
    const env = { WARPDICE_ASYNC_MIB: '2', WARPDICE_THREADS: '1' };
    const result = JSON.parse(await runWell('full-queue.mjs', { env }));
    expect(result).toEqual({
      works: true,
      accepted: expect.any(Number),
      refused: expect.any(Number),
      name: 'WarpDiceError',
      code: 'ERR_QUEUE_FULL',
      message: expect.stringMatching(
        /^Expected pending Async calls to hold less than 2 MiB of copied arrays but they hold 2 MiB: await earlier calls first, or pass tensors of Tensor\.empty/,
      ),
      inPlace: true,
    });
    expect(result.accepted).toBeGreaterThanOrEqual(8);
    expect(result.refused).toBeGreaterThan(0);
  });

  test('a loss that nobody holds on to computes what it was asked', async () => {
    const start = () => new DiceLoss(slow).valueAsync(big.predictions, big.target);
    const values = (await Promise.all([start(), start()])).map(({ value }) => value.itemSync());
    expect(values[0]).toBe(big.loss.value(big.predictions, big.target).value.itemSync());
  });
});
