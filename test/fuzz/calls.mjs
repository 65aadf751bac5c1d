// Every public entry with arguments that are right, made anew for each call: what the fuzzer then spoils.
import * as warpdice from '../../dist/index.js';
import { directEntries } from './direct-calls.mjs';
import { linearEntries } from './linear-calls.mjs';
import { lossEntries } from './loss-calls.mjs';
import { metricEntries } from './metric-calls.mjs';
import { method, problem } from './problem.mjs';

const { Device, Tensor } = warpdice;

const entries = {
  ...lossEntries,
  ...directEntries,
  ...linearEntries,
  ...metricEntries,
  tensor(random) {
    const name = random.pick(['from', 'copyOf', 'empty', 'view', 'to', 'read']);
    const { shape } = problem(random);
    const data = new Float32Array(shape.reduce((a, b) => a * b));
    if (name === 'from' || name === 'copyOf') return method(Tensor, name, [data, shape, {}]);
    if (name === 'empty') return method(Tensor, name, [shape, 'float32', {}]);
    const tensor = Tensor.from(new Float32Array(12), [3, 4]);
    const one = Tensor.from(Float32Array.of(1), []);
    if (name === 'view') return method(tensor, name, [[2, 3], 6]);
    if (name === 'to') return method(tensor, name, [random.pick(Device.list())]);
    return method(
      one,
      random.pick(['read', 'readSync', 'item', 'itemSync', 'dispose', 'toString']),
      [],
    );
  },
  device(random) {
    const device = Device.list().at(-1);
    const name = random.pick([
      'setThreads',
      'cuda',
      'fromDevicePointer',
      'fromIpcHandle',
      'stream',
      'loadKernels',
    ]);
    if (name === 'setThreads') return { args: [2], call: (_by, n) => warpdice.setThreads(n) };
    if (name === 'loadKernels') return method(device, name, [['float32']]);
    // What only a GPU has is refused without one, so these calls are never right. Never a made-up pointer: nobody can check it.
    if (name === 'cuda') return { wrong: true, ...method(Device, 'cuda', [0]) };
    if (name === 'stream')
      return { wrong: true, args: [device], call: (_by, d) => new warpdice.Stream(d).dispose() };
    if (name === 'fromIpcHandle')
      return { wrong: true, ...method(Tensor, name, [{}, [2], 'float32', { device }]) };
    return { wrong: true, ...method(Tensor, name, [0n, 8, [2], 'float32', { device }]) };
  },
};

const names = Object.keys(entries);

/** A right call: its name, its arguments, and a function that makes it. */
export function rightCall(random) {
  const name = random.pick(names);
  return { name, ...entries[name](random) };
}

const known = {
  predictions: { data: Float32Array.of(0.1, 0.9, 0.9, 0.1), shape: [1, 2, 2] },
  target: { data: Uint8Array.of(1, 0), shape: [1, 2] },
  loss: new warpdice.DiceLoss({ smoothDenominator: 0 }),
};

/** A value that every later call must give again, to the bit: 1 - 2 * .9 / (1 + .82). */
export const knownValue = () => known.loss.value(known.predictions, known.target).value.itemSync();
