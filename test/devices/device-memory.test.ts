/**
 * What V8 is told of memory on a device, on the emulated device.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from '@jest/globals';
import { Tensor } from '../../lib/index.js';
import { emulatedOnly, fake, gpu } from '../support/device.js';

const MB = 2 ** 20;
const make = (bytes: number) => Tensor.empty([bytes], 'uint8', { device: gpu });

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What becomes garbage at once. */
function forget(count: number, use: (tensor: Tensor) => void): void {
  for (let i = 0; i < count; i++) use(make(MB));
}

/** Collects until nothing more is found. Finalizers run on the event loop. */
async function collected(): Promise<void> {
  let before = Number.POSITIVE_INFINITY;
  for (let quiet = 0; quiet < 3; quiet++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = gpu.memory().aliveBytes + fake.externalBytes();
    if (now < before) quiet = 0;
    before = now;
  }
}

/** Since `before`, in MB; Node's own numbers move it a little. */
const grown = (before: number) => Math.round(((fake.externalBytes() - before) * 8) / MB) / 8 + 0; // no -0

emulatedOnly('a handle counts with its bytes, but at most 1 MB, until it is disposed', () => {
  const before = fake.externalBytes();
  const whole = make(2 * MB);
  const tensors = [make(1000), make(MB / 2), make(5 * MB), whole, whole.view([3], 7)];
  expect(grown(before)).toBe(2.5);
  for (let i = 0; i < 2; i++) {
    tensors[2]?.dispose();
    expect(grown(before)).toBe(1.5);
  }
  for (const tensor of tensors) tensor.dispose();
  expect(grown(before)).toBe(0);
});

emulatedOnly(
  'the garbage collector frees what nobody disposed, and returns what was counted',
  async () => {
    await collected(); // what other tests have left
    const [alive, before] = [gpu.memory().aliveBytes, fake.externalBytes()];
    forget(20, () => {});
    await collected();
    const left = (gpu.memory().aliveBytes - alive) / MB;
    expect(left).toBeLessThanOrEqual(1); // the last one may still be seen on the stack
    expect(grown(before)).toBe(left);
  },
);

emulatedOnly('what was disposed is not returned again by the garbage collector', async () => {
  await collected();
  const before = fake.externalBytes();
  forget(20, (tensor) => tensor.dispose());
  await collected();
  expect(grown(before)).toBe(0);
});
