// A call that must be refused: what is tried in test/errors.
import { expect } from '@jest/globals';
import { DiceLoss } from '../../lib/index.js';
import { full, tensor } from './tensors.js';

// biome-ignore lint/suspicious/noExplicitAny: the point is to pass what the types forbid
export type Any = any;

export const N = 2;
export const C = 3;
const spatial = [4, 5];
export const shape = [N, C, ...spatial];
export const x = tensor(
  Float64Array.from({ length: 120 }, (_, i) => Math.sin(i)),
  shape,
);
export const y = tensor(
  Float64Array.from({ length: 40 }, (_, i) => i % C),
  [N, ...spatial],
  'uint8',
);
export const loss = new DiceLoss({ activation: 'softmax' });
export const expected = loss.valueAndGrad(x, y);

const outputs = () => ({
  value: full([], 7, 'float64'),
  perClass: full([N, C], 7, 'float64'),
  grad: full(shape, 7),
});

/**
 * Calls with outputs that are full of 7, expects the error, that they still are, and that the loss then works. The same for
 * the promise of the Async variant.
 */
export async function refuse(
  predictions: Any,
  target: Any,
  options: Any,
  type: Any,
  message: RegExp,
  instance: Any = loss,
): Promise<void> {
  const out = { ...outputs(), ...options?.out };
  const before = Object.values(out).map((buffer: Any) => {
    const data = buffer?.data;
    return ArrayBuffer.isView(data) ? [...(data as unknown as number[])] : undefined;
  });
  const expectUntouched = () => {
    Object.values(out).forEach((buffer: Any, i) => {
      if (before[i]) expect([...buffer.data]).toEqual(before[i]);
    });
    const { value } = loss.valueAndGrad(x, y);
    expect(value.itemSync()).toBe(expected.value.itemSync());
  };
  const given = { ...options, out };
  const call = () => instance.valueAndGrad(predictions, target, given);
  expect(call).toThrow(message);
  expect(call).toThrow(type);
  expect(call).toThrow(inOneForm);
  expectUntouched();
  const callAsync = () => instance.valueAndGradAsync(predictions, target, given);
  expect(callAsync).toThrow(message); // at once, not as a rejection
  expect(callAsync).toThrow(type);
  expectUntouched();
}

export const like = (dtype: 'float32' | 'uint8', sizes: number[]) => full(sizes, 0, dtype);

/** The forms of all messages: of values, of combinations, of keys. See docs/errors.md. */
export const inOneForm =
  /^(Expected .* (but|and|received) .*|\S.* (cannot be combined with|needs) .*|Unknown (option|key) '.*': (did you mean|the (option|key)s are|it belongs to|.* has it).*|Unknown (option|key) '.*' of .*: .*)$/;

/** An error with this code. */
export const code = (name: string) => expect.objectContaining({ code: name });
