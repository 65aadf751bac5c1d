// `npm start`: trains, tests on held-out slices, and prints a table and writes two pictures.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { init, numpy as np } from '@jax-js/jax';
import Table from 'cli-table3';
import {
  Device,
  DiceCELoss,
  DiceFocalLoss,
  DiceLoss,
  GeneralizedDiceLoss,
  getThreads,
  JaccardLoss,
  Loss,
  LovaszLoss,
  MatthewsLoss,
  TopKCrossEntropyLoss,
  TverskyLoss,
  UnifiedFocalLoss,
} from 'warpdice';
import { chooseThresholds, classify } from './baseline.js';
import { CrossEntropy } from './cross-entropy.js';
import { heldOut, loadSlices, type Slices } from './data.js';
import { FlagError, type Flags, help, readFlags } from './flags.js';
import { argmax, count } from './metrics.js';
import { classNames, initialWeights, toParams, unet, type Weights } from './model.js';
import { type Curve, drawCurves, drawSlices } from './pictures.js';
import { Progress } from './progress.js';
import { seededRandom } from './random.js';
import { isRank, joinTeam, startRanks, type Team } from './ranks.js';
import { train } from './train.js';

// batch: true adds the sums over the batch, so a slice with little white matter weighs little.
// With --ranks it adds the sums of all ranks inside the call: the loss of the whole batch, with the same bits on any number of ranks.
const lossesOf = (team: Team | undefined) => {
  const options = { activation: 'softmax', batch: true } as const;
  const all = team ? { ...options, reproducible: true, allReduce: team.allReduce } : options;
  return {
    dice: { name: 'Dice loss', loss: new DiceLoss(all) },
    jaccard: { name: 'Jaccard loss', loss: new JaccardLoss(all) },
    tversky: { name: 'Tversky loss', loss: new TverskyLoss(all) },
    generalized: { name: 'generalized Dice loss', loss: new GeneralizedDiceLoss(all) },
    'dice-ce': { name: 'Dice + cross-entropy', loss: new DiceCELoss(all) },
    'dice-focal': { name: 'Dice + focal loss', loss: new DiceFocalLoss(all) },
    matthews: { name: "Matthews' correlation", loss: new MatthewsLoss(all) },
    'unified-focal': { name: 'unified focal loss', loss: new UnifiedFocalLoss(all) },
    lovasz: { name: 'Lovász loss', loss: new LovaszLoss(options) },
    'top-k': { name: 'top-k cross-entropy', loss: new TopKCrossEntropyLoss({ batch: true }) },
    ce: { name: 'cross-entropy', loss: new CrossEntropy() },
  };
};

const learningRate = 0.04;

/** One trained network and what is reported about it. */
interface Run extends Curve {
  prediction: Uint8Array; // of all held-out slices
  trainSeconds: number; // without the tests on held-out slices in between
  lossSeconds: number;
  communication: number; // seconds, with --ranks
}

/** A rank other than the first: it trains, and leaves what is printed and drawn to that one. */
async function follow(flags: Flags, team: Team): Promise<number> {
  await init('wasm');
  const { steps, batch, seed } = flags;
  const { loss } = lossesOf(team)[flags.loss];
  const { signal } = new AbortController();
  const onStep = () => {};
  const { training } = loadSlices(dataFolder(), flags.size);
  await train(training, { loss, steps, batch, seed, signal, learningRate, onStep, team });
  return 0;
}

async function main(flags: Flags, team?: Team): Promise<number> {
  const begin = performance.now();
  const device = chooseDevice(flags.device);
  console.log('Loading the volume.');
  await init('wasm');
  const data = loadSlices(dataFolder(), flags.size);
  printSetting(data, device, flags.device);
  if (team) console.log(`Ranks: ${team.size}, ${team.library}.\n`);

  const interrupt = new AbortController();
  // Only once: a second Ctrl-C ends at once. With ranks the first one does, as they must stop at the same step.
  if (!team) process.once('SIGINT', () => interrupt.abort());

  console.log('Testing the untrained network.');
  const before = predict(initialWeights(seededRandom(flags.seed)), data.heldOut);
  const runs: Run[] = [];
  const untrained = count(before, data.heldOut.labels).average('dice');
  const names = flags.compare && flags.loss !== 'ce' ? [flags.loss, 'ce' as const] : [flags.loss];
  for (const name of names) {
    if (interrupt.signal.aborted) break;
    runs.push(await runOne(name, flags, data, untrained, interrupt.signal, team));
  }

  const done = runs.filter((run) => run.loss.length > 0);
  const thresholds = classify(data.heldOut.images, chooseThresholds(data.training));
  printTable(data.heldOut, before, thresholds, done);
  if (team) for (const run of done) printRanks(run, team);
  if (done.length > 0) savePictures(flags, data.heldOut, done);
  console.log(`Took ${((performance.now() - begin) / 1000).toFixed(0)} s in all.`);
  return interrupt.signal.aborted ? 130 : 0;
}

async function runOne(
  which: Flags['loss'],
  { steps, batch, seed, head }: Flags,
  data: { training: Slices; heldOut: Slices },
  untrained: number,
  signal: AbortSignal,
  team: Team | undefined,
): Promise<Run> {
  const { name, loss } = lossesOf(team)[which];
  const progress = new Progress(`Training with ${name}`, steps);
  const curve: Curve = { name, loss: [], heldOut: [{ step: 0, dice: untrained }] };
  const testEvery = Math.ceil(steps / 3);
  let testSeconds = 0;
  const test = (step: number, weights: Weights) => {
    const start = performance.now();
    const prediction = predict(weights, data.heldOut);
    curve.heldOut.push({ step, dice: count(prediction, data.heldOut.labels).average('dice') });
    testSeconds += (performance.now() - start) / 1000;
    return prediction;
  };

  const start = performance.now();
  const { weights, lossSeconds } = await train(data.training, {
    ...{ loss, steps, batch, seed, signal, learningRate },
    ...(team && { team }),
    ...(head && loss instanceof Loss && { head: loss }),
    onStep(step, value, current) {
      curve.loss.push(value);
      progress.update(step, value);
      // Only for the picture: nothing is chosen by these tests.
      if (step % testEvery === 0 && step < steps) test(step, current);
    },
  });
  const trainSeconds = (performance.now() - start) / 1000 - testSeconds;
  progress.stop();
  if (signal.aborted) console.log(`Stopped by Ctrl-C after ${curve.loss.length} steps.`);
  const prediction = test(curve.loss.length, weights);
  const communication = team?.seconds() ?? 0;
  return { ...curve, prediction, trainSeconds, lossSeconds, communication };
}

/** The class of every pixel, four slices at a time. */
function predict(weights: Weights, { images, height, width, numbers }: Slices): Uint8Array {
  const area = height * width;
  const result = new Uint8Array(images.length);
  for (let i = 0; i < numbers.length; i += 4) {
    const part = images.slice(i * area, (i + 4) * area);
    const logits = unet(toParams(weights), np.array(part).reshape([-1, height, width]));
    result.set(argmax(logits.dataSync(), classNames.length, area), i * area);
  }
  return result;
}

function chooseDevice(wanted: Flags['device']): Device {
  if (wanted === 'auto') return Device.default();
  const found = Device.list().find(({ kind }) => kind === wanted);
  if (found) return found;
  throw new FlagError(`Expected a usable GPU for --device ${wanted}, but ${Device.whyNoGpu}.`);
}

function printSetting(
  { training, heldOut: test }: { training: Slices; heldOut: Slices },
  device: Device,
  wanted: Flags['device'],
): void {
  const { first, count: held, gap } = heldOut;
  const slices = `${test.width} x ${test.height} pixels, ${training.numbers.length} for training`;
  const threads = `${getThreads()} thread${getThreads() === 1 ? '' : 's'}`;
  const noGpu = wanted === 'cpu' ? 'as --device cpu says' : `no GPU: ${Device.whyNoGpu}`;
  console.log(`Slices: ${slices}, ${held} held out (${first} to ${first + held - 1}),
  ${gap} on each side of those used for neither.
Network: jax-js, WebAssembly on the CPU.
Loss: ${device.kind === 'cpu' ? `${device.name}, ${threads}, ${noGpu}` : device.name}.
`);
}

function printTable(slices: Slices, before: Uint8Array, thresholds: Uint8Array, runs: Run[]): void {
  const figures = (prediction: Uint8Array) => {
    const metrics = count(prediction, slices.labels);
    const [dice, iou] = [metrics.perClass('dice'), metrics.perClass('iou')];
    const perClass = [1, 2].flatMap((c) => [dice[c], iou[c]]);
    return [...perClass, metrics.average('dice')].map((v) => v.toFixed(4));
  };
  const table = new Table({ style: { head: [], border: [] } });
  table.push(
    [
      '',
      ...[1, 2].map((c) => ({ content: classNames[c].replace(' and', '\nand'), colSpan: 2 })),
      'both',
    ],
    ['', 'Dice', 'IoU', 'Dice', 'IoU', 'mean Dice'],
    ['before training', ...figures(before)],
  );
  for (const { name, loss, prediction } of runs) {
    table.push([`after ${loss.length} steps, ${name}`, ...figures(prediction)]);
  }
  table.push(['two thresholds, no network', ...figures(thresholds)]);
  console.log(`\nOn the ${slices.numbers.length} held-out slices, all pixels together:\n${table}
Two thresholds: the brightness alone, cut where the training slices fit best. The atlas named a
region white by its brightness, so this does well here.`);
  for (const { name, loss, trainSeconds, lossSeconds } of runs) {
    const share = (100 * lossSeconds) / trainSeconds;
    const perStep = (1000 * lossSeconds) / loss.length;
    console.log(
      `${name}: ${trainSeconds.toFixed(1)} s, of which ${share.toFixed(1)}% in the loss and its gradient (${perStep.toFixed(2)} ms a step).`,
    );
  }
}

function printRanks({ name, loss, trainSeconds, communication }: Run, { size }: Team): void {
  const perStep = (1000 * trainSeconds) / loss.length;
  const share = (100 * communication) / trainSeconds;
  console.log(
    `${name}: ${size} rank${size === 1 ? '' : 's'}, ${perStep.toFixed(1)} ms a step, ${share.toFixed(1)}% of it in MPI (waiting for the others included). Loss of the first step: ${loss[0]}.`,
  );
}

function savePictures({ out, steps }: Flags, slices: Slices, runs: Run[]): void {
  mkdirSync(out, { recursive: true });
  const [curves, overlay] = [join(out, 'training.svg'), join(out, 'slices.png')];
  drawCurves(curves, runs, steps);
  const chosen = [1, 3, 5].map((i) => Math.floor((i * slices.numbers.length) / 6));
  const predictions = runs.map(({ name, loss, prediction }) => ({
    name: `${name}, ${loss.length} steps`,
    labels: prediction,
  }));
  drawSlices(overlay, slices, chosen, predictions);
  console.log(`Pictures: ${curves} and ${overlay}`);
}

/** examples/data in the package, wherever this file was compiled to. */
function dataFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return join(folder, 'examples', 'data');
}

async function start(flags: Flags): Promise<number> {
  if (flags.ranks === undefined) return main(flags);
  if (!isRank()) return startRanks(flags.ranks, process.argv.slice(2));
  const team = await joinTeam();
  return team.rank === 0 ? main(flags, team) : follow(flags, team);
}

try {
  const flags = readFlags(process.argv.slice(2));
  if (!flags) console.log(help);
  else process.exitCode = await start(flags);
} catch (error) {
  if (!(error instanceof FlagError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
