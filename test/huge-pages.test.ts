// Large tensors ask for huge pages. Linux says of each mapping what was asked, whether or not it has followed yet.
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { DiceLoss, Tensor } from '../lib/index.js';

/** The bytes of this process for which huge pages were asked: "hg" among the flags of their mapping. */
function askedBytes(): number {
  let bytes = 0;
  let mapping = 0; // its size
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const [key, ...values] = line.split(/ +/);
    if (key === 'Size:') mapping = 1024 * Number(values[0]);
    if (key === 'VmFlags:' && values.includes('hg')) bytes += mapping;
  }
  return bytes;
}

const linuxIt = existsSync('/sys/kernel/mm/transparent_hugepage') ? it : it.skip;

linuxIt('tensors of 4 MB and more ask for huge pages, smaller ones do not', () => {
  const before = askedBytes();
  const small = Tensor.empty([1, 4, 1 << 17]);
  expect(askedBytes() - before).toBeLessThan(1 << 20);
  const large = Tensor.empty([1, 4, 1 << 20]);
  const asked = askedBytes() - before;
  expect(asked).toBeGreaterThanOrEqual((1 << 24) - 8192);
  expect(small.size + large.size).toBe(9 << 19); // both are alive until here
});

linuxIt('so does a gradient that a call allocates', () => {
  const logits = Tensor.empty([1, 2, 1 << 20]);
  const before = askedBytes();
  const { grad } = new DiceLoss({ activation: 'softmax' }).valueAndGrad(
    logits,
    Tensor.from(new Uint8Array(1 << 20), [1, 1 << 20]),
  );
  expect(askedBytes() - before).toBeGreaterThanOrEqual((1 << 23) - 8192);
  expect(grad.data[0]).not.toBeNaN();
});
