// Makes calls with up to two wrong arguments and judges every error. Works in a thread of its own as well.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { native } from '../../dist/native/load.js';
import { knownValue, rightCall } from './calls.mjs';
import { otherReceiver, spoil } from './hostile.mjs';
import { complaint } from './judge.mjs';
import { Random } from './random.mjs';

/** How many promises may be open at once. */
const openAtOnce = 16;

/** WARPDICE_FUZZ_FAILURES: allocations fail. */
const failing = native.fake !== undefined && process.env.WARPDICE_FUZZ_FAILURES !== undefined;

/**
 * On the addon for tests a part of the calls on the CPU runs out of memory: an early or a late allocation of the addon fails.
 * Not of those on the GPU: the fake CUDA runtime is in the same addon, and would run out too.
 */
function failSometimes(random) {
  if (!failing || !random.chance(1 / 6)) return false;
  native.fake.failAllocations(1 + random.below(random.pick([4, 40])), random.chance(0.3));
  return true;
}

/** One call, made of its seed alone. `tell` gets what is known of it before it is made. */
function attempt(seed, tell) {
  const random = new Random(seed);
  const { name, receiver, args, call, wrong = false } = rightCall(random);
  const spoiled = [];
  const made = { name, right: !wrong, what: () => `${name} (${spoiled.join('; ')})` };
  try {
    const places = random.pick([0, 1, 1, 2]);
    for (let i = 0; i < places && args.length > 0; i++) spoiled.push(spoil(args, random));
    const by = receiver && random.chance(1 / 16) ? otherReceiver(receiver, random) : receiver;
    if (by !== receiver) spoiled.push('this: changed');
    tell(seed, made.what());
    if (failSometimes(random)) spoiled.push('an allocation fails');
    made.right &&= spoiled.length === 0;
    made.result = call(by, ...args);
  } catch (error) {
    made.right &&= spoiled.length === 0;
    made.error = error;
  } finally {
    // A call whose promise is open may still run out of memory.
    if (!(made.result instanceof Promise)) native.fake?.failAllocations(0, false);
  }
  return made;
}

/**
 * Makes the calls of `count` seeds from `first` on. Returns how many did what, and a finding for each kind of complaint,
 * with a seed that makes it again.
 */
export async function fuzz(first, count, tell = () => {}) {
  const expected = knownValue();
  const outcome = { calls: 0, done: 0, refused: 0, entries: {}, findings: [] };
  const kinds = new Set();
  const find = (seed, made, complaint) => {
    const kind = complaint.replace(/\d+/g, '#').slice(0, 60);
    if (kinds.has(kind)) return;
    kinds.add(kind);
    outcome.findings.push(`seed ${seed}, ${made.what()}: ${complaint}`);
  };
  const refused = (seed, made, error) => {
    outcome.refused++;
    const fault = made.right ? `a right call threw ${error?.stack}` : complaint(error);
    if (fault !== undefined) find(seed, made, fault);
  };
  const done = () => {
    outcome.done++;
  };
  let open = [];
  for (let seed = first; seed < first + count; seed++) {
    const made = attempt(seed, tell);
    outcome.calls++;
    outcome.entries[made.name] = (outcome.entries[made.name] ?? 0) + 1;
    if ('error' in made) refused(seed, made, made.error);
    else if (!(made.result instanceof Promise)) done();
    else open.push(made.result.then(done, (error) => refused(seed, made, error)));
    // Where allocations fail, a call that is still open would get the failure of a later one.
    if (failing || open.length >= openAtOnce) {
      await Promise.all(open);
      open = [];
      native.fake?.failAllocations(0, false);
    }
    if (seed % 64 === 0 && knownValue() !== expected) find(seed, made, 'a later call is wrong');
  }
  await Promise.all(open);
  return outcome;
}

if (!isMainThread && workerData?.fuzz) {
  const { first, count } = workerData.fuzz;
  parentPort.postMessage(await fuzz(first, count));
}
