// A rank of ranks.ts. All ranks make the same calls; the first one writes what it has measured.
import { writeFileSync } from 'node:fs';
import { DiceLoss, type Statistics, Tensor } from 'warpdice';
import { connect } from 'warpdice/mpi';
import type { RanksResult } from '../report/results.js';
import type { RanksSettings } from './ranks.js';
import { summarize } from './timing.js';

const { file, quick } = JSON.parse(process.argv[2] as string) as RanksSettings;
const world = await connect();
const rounds = quick ? 20 : 200;
const side = quick ? 16 : 64;

/** One loss over volumes of side^3 voxels, one for each rank. */
function measure(classes: number): RanksResult {
  const size = side ** 3;
  const logits = Tensor.from(new Float32Array(classes * size).fill(0.5), [1, classes, size]);
  const labels = Tensor.from(
    Uint8Array.from({ length: size }, (_, i) => i % classes),
    [1, size],
  );
  const inHook: number[] = [];
  const allReduce = (statistics: Statistics) => {
    const start = performance.now();
    const merged = world.allReduceSync(statistics);
    inHook.push(performance.now() - start);
    return merged;
  };
  const step = new DiceLoss({ activation: 'softmax', batch: true, allReduce }).plan(logits, labels);
  for (let i = 0; i < 5; i++) step.execute();
  inHook.length = 0;
  const steps: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    step.execute();
    steps.push(performance.now() - start);
  }
  const sums = 8 * classes;
  return {
    ranks: world.size,
    mpi: world.library.library,
    classes,
    bytes: 512 + (sums > 56 ? 8 * sums : 0),
    allReduceMs: summarize(inHook),
    ms: summarize(steps),
  };
}

const results = [4, 20, 117].map(measure);
if (world.rank === 0) writeFileSync(file, JSON.stringify(results));
