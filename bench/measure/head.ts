// The loss of linearLogits: valueAndGrad from features, beside the processor's peak of float32 multiply-adds and our own loss of
// logits that are there. All take turns.
import os from 'node:os';
import { DiceLoss, linearLogits, setThreads, simdTarget, Tensor } from 'warpdice';
import { Random } from '../../test/support/random.js';
import type { HeadResult } from '../report/results.js';
import { beside } from './head-peers.js';
import { loadPasses } from './passes.js';
import { interleave, summarize, type Timed } from './timing.js';

/** [N, K features, C classes, voxels] */
type Shape = readonly [N: number, K: number, C: number, S: number];

const elementsOfClasses = 2 ** 23;
/** The two of the page "Many classes", then C from 2 to 1000, with the others beside them. */
const shapes = (quick: boolean): Shape[] => [
  [1, 32, 117, quick ? 2 ** 18 : 2 ** 21],
  [4, 64, 19, 2 ** 16],
  ...(quick ? [4, 1000] : [2, 8, 32, 128, 1000]).map(
    (C): Shape => [1, 32, C, 1024 * Math.floor(elementsOfClasses / 1024 / C)],
  ),
];
const isOfChart = ([N, K, C, S]: Shape) =>
  N === 1 && K === 32 && N * C * S <= elementsOfClasses && C !== 117;

const peakRounds = 2 ** 16;

export async function measureHead(threads: number, quick: boolean): Promise<HeadResult[]> {
  const results: HeadResult[] = [];
  for (const shape of shapes(quick)) {
    console.error(`  head, [${shape}]`);
    const own = await measure(shape, threads, quick);
    // Measured after the turns: it has processes of its own.
    const others = isOfChart(shape) && own.ms ? await beside(shape, threads) : {};
    results.push({ ...own, ...others });
  }
  return results;
}

function filled(shape: readonly number[], next: () => number, dtype: 'float32' | 'int16'): Tensor {
  const tensor = Tensor.empty(shape, dtype);
  const data = tensor.data as Float32Array;
  const few = Math.min(2 ** 16, data.length);
  for (let i = 0; i < few; i++) data[i] = next();
  for (let at = few; at < data.length; at += few) data.copyWithin(at, 0, few);
  return tensor;
}

async function measure([N, K, C, S]: Shape, threads: number, quick: boolean): Promise<HeadResult> {
  const name = `[${N}, ${K} -> ${C}, ${S}]`;
  const operations = 8 * N * S * C * K;
  const bytes = N * S * (2 * 4 * C + 2 * 4 * K + 2);
  if (bytes > os.freemem() / 2) {
    const skipped = `needs ${(bytes / 1e9).toFixed(1)} GB, over half of the free memory`;
    return { name, classes: C, skipped };
  }
  const random = new Random(1);
  const normal = () => random.normal();
  const features = filled([N, K, S], normal, 'float32');
  const weight = filled([C, K], () => normal() / Math.sqrt(K), 'float32');
  const bias = filled([C], normal, 'float32');
  const target = filled([N, S], () => random.integer(C), 'int16');
  const logits = filled([N, C, S], normal, 'float32');
  const loss = new DiceLoss({ activation: 'softmax' });
  const head = loss.plan(linearLogits(features, weight, bias), target);
  const alone = loss.plan(logits, target);
  const passes = loadPasses(threads);
  const enter = () => {
    setThreads(threads);
    passes.use(simdTarget(), threads);
  };
  let ofPeak = 0;
  const timed: Timed[] = [
    { enter, run: () => void head.execute() },
    { enter, run: () => void alone.execute() },
    {
      enter,
      run: () => {
        ofPeak = passes.multiplyAdds(peakRounds);
      },
    },
  ];
  const times = await interleave(timed, { seconds: quick ? 2 : 3, leastRounds: 5 });
  const [ms, aloneMs, peakMs] = times.map((own) => summarize(own));
  const shares = times[0].map((ours, i) => operations / ours / (ofPeak / times[2][i]));
  return {
    name,
    classes: C,
    gflop: operations / 1e9,
    ms,
    aloneMs,
    peakMs,
    peakGflop: ofPeak / 1e9,
    shareOfPeak: summarize(shares),
  };
}
