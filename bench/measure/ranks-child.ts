// A rank of ranks.ts. All ranks make the same calls; the first one writes what it has measured.
import { readFileSync, writeFileSync } from 'node:fs';
import { DiceLoss, type Statistics, Tensor } from 'warpdice';
import { connect } from 'warpdice/mpi';
import type { RanksResult } from '../report/results.js';
import type { RanksSettings } from './ranks.js';
import { summarize } from './timing.js';

const { file, quick, traffic, library } = JSON.parse(process.argv[2] as string) as RanksSettings;
const world = await connect(library === undefined ? {} : { library });
/** Such as 'Open MPI v4.1.4', without what else it says. */
const mpi = world.library.library.replace(/,.*/, '').replaceAll(/\s+/g, ' ');
const rounds = quick ? 20 : 400;
const side = quick ? 16 : 64;

/** One loss over volumes of side^3 voxels, one for each rank. */
async function measure(classes: number): Promise<RanksResult> {
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
  const loss = new DiceLoss({ activation: 'softmax', batch: true, allReduce });
  const step = loss.plan(logits, labels);
  const steps = await timed(() => step.execute());
  const hooks = inHook.slice(-rounds);
  const statistics = loss.statistics(logits, labels);
  const sums = 8 * classes;
  return {
    ranks: world.size,
    mpi,
    classes,
    bytes: 512 + (sums > 56 ? 8 * sums : 0),
    syncMs: summarize(await timed(() => world.allReduceSync(statistics))),
    asyncMs: summarize(await timed(() => world.allReduce(statistics))),
    allReduceMs: summarize(hooks),
    ms: summarize(steps),
  };
}

/** Milliseconds of each round, after some that are not counted. */
async function timed(call: () => unknown): Promise<number[]> {
  const times: number[] = [];
  for (let i = -5; i < rounds; i++) {
    const start = performance.now();
    await call();
    if (i >= 0) times.push(performance.now() - start);
  }
  return times;
}

/** What the loopback interface has sent since the machine started: bytes with headers, and packets. */
function sent(): [bytes: number, packets: number] {
  const line = readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .find((it) => it.trim().startsWith('lo:')) as string;
  const numbers = line.split(':')[1]?.trim().split(/\s+/).map(Number) as number[];
  return [numbers[8] as number, numbers[9] as number];
}

/** The bytes and packets of all ranks for one sum of so many float64 numbers. */
async function count(elements: number): Promise<RanksResult> {
  const array = new Float64Array(elements);
  const calls = Math.max(10, Math.floor(20_000 / elements));
  world.sumSync(array);
  await world.barrier();
  const [bytes, packets] = sent();
  await world.barrier(); // none begins before all have looked
  for (let i = 0; i < calls; i++) world.sumSync(array);
  await world.barrier();
  const [bytesAfter, packetsAfter] = sent();
  await world.barrier();
  return {
    ranks: world.size,
    mpi,
    bytes: elements <= 56 ? 512 : 512 + 8 * elements,
    sentBytes: (bytesAfter - bytes) / calls,
    packets: (packetsAfter - packets) / calls,
  };
}

const results: RanksResult[] = [];
if (traffic) for (const elements of [32, 100_000]) results.push(await count(elements));
else for (const classes of [4, 20, 117]) results.push(await measure(classes));
if (world.rank === 0) writeFileSync(file, JSON.stringify(results));
