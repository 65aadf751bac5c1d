// The dtype and the size of an array are what the engine says. Its own properties, and those of a subclass, change nothing.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Tensor } from '../../lib/index.js';

const shape = [4];
const target = { data: Uint8Array.of(1, 0, 1, 0), shape };
const p = [0.5, 0.25, 0.75, 0.125];
const loss = new DiceLoss();
const expected = loss.valueAndGrad({ data: Float32Array.from(p), shape }, target);

test('bytes that are not aligned, disguised as a Float32Array', () => {
  const data = Object.defineProperty(
    new Uint8Array(new ArrayBuffer(32), 1, 4),
    Symbol.toStringTag,
    { value: 'Float32Array' },
  );
  expect(Tensor.from(data, shape).dtype).toBe('uint8');
  expect(() => loss.value({ data, shape }, target)).toThrow(/^Expected dtype float32.*uint8$/);
  expect(() =>
    loss.valueAndGrad({ data: Float32Array.from(p), shape }, target, {
      out: { grad: { data, shape } },
    }),
  ).toThrow(/^Expected dtype float32 for out\.grad but received uint8$/);
});

test.each([
  ['an object', { [Symbol.toStringTag]: 'Float32Array', length: 4, buffer: new ArrayBuffer(16) }],
  ['an object with the prototype', Object.create(Float32Array.prototype)],
  ['a Proxy', new Proxy(Float32Array.from(p), {})],
])('%s is no array', (_, data) => {
  expect(() => loss.value({ data, shape }, target)).toThrow(
    /^Expected one of .* for predictions\.data/,
  );
});

describe('a subclass with getters of its own', () => {
  class Liar extends Float32Array {
    override get length() {
      return 1_000_000;
    }
    override get byteOffset() {
      return 12;
    }
    override get byteLength() {
      return 7;
    }
    override get buffer() {
      return new ArrayBuffer(3);
    }
    override subarray(): never {
      throw new Error('subarray of the subclass');
    }
    override slice(): never {
      throw new Error('slice of the subclass');
    }
    override set(): void {}
    static get [Symbol.species](): never {
      throw new Error('species of the subclass');
    }
  }
  const liar = () => {
    const data = new Liar(4);
    p.forEach((x, i) => {
      data[i] = x;
    });
    return data;
  };

  test('is read and written as any array', () => {
    const [data, grad] = [liar(), new Liar(4)];
    const { value } = loss.valueAndGrad({ data, shape }, target, {
      out: { grad: { data: grad, shape } },
    });
    expect(value.itemSync()).toBe(expected.value.itemSync());
    for (let i = 0; i < 4; i++) expect(grad[i]).toBe(expected.grad.data[i]);
  });

  test('copies and views hold its elements', async () => {
    const tensor = Tensor.from(liar(), shape);
    expect([...Tensor.copyOf(liar(), shape).data]).toEqual(p);
    expect([...(await tensor.read())]).toEqual(p);
    const view = tensor.view([2], 1).data;
    expect([view[0], view[1], view.length]).toEqual([0.25, 0.75, 2]);
    (view as Float32Array)[0] = 9;
    expect(tensor.data[1]).toBe(9);
    await tensor.write(Float32Array.from(p));
    expect(tensor.data[1]).toBe(0.25);
  });

  test('a wrong number of elements is seen', () => {
    expect(() => Tensor.from(liar(), [1_000_000])).toThrow(
      /^Expected 1000000 elements for tensor\.data .* received 4$/,
    );
  });
});
