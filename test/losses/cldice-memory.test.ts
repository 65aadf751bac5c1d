/**
 * How much SoftClDiceLoss allocates: arrays of a sample and class, and none for a row. The addon for tests counts.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { expect } from '@jest/globals';
import { SoftClDiceLoss } from '../../lib/index.js';
import { emulatedOnly, fake } from '../support/device.js';
import { full } from '../support/tensors.js';

emulatedOnly('SoftClDiceLoss allocates nothing for a row', () => {
  const loss = new SoftClDiceLoss({ iterations: 3 });
  const allocations = (rows: number) => {
    const [x, y] = [full([2, 3, rows, 32], 0.5), full([2, rows, 32], 1, 'uint8')];
    loss.valueAndGrad(x, y);
    fake.failAllocations(0, false); // counts from here on
    loss.valueAndGrad(x, y);
    return fake.allocations();
  };
  const few = allocations(32);
  expect(few).toBeLessThan(300);
  expect(allocations(64)).toBe(few);
});
