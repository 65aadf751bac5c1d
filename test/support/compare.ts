// Arrays of numbers, compared element by element or bit by bit.
import type { Typed } from './tensors.js';

// Looked up once: under Jest a global costs 100 ns.
const { abs } = Math;
const { isFinite: finite, isNaN: notANumber } = Number;

/** Throws at the first element that is further from the expected than allowed. NaN equals NaN only. */
export function expectClose(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number | ((expected: number) => number),
): void {
  if (actual.length !== expected.length) {
    throw new Error(`${name} has ${actual.length} elements instead of ${expected.length}`);
  }
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i] as number;
    const e = expected[i] as number;
    const allowed = typeof tolerance === 'number' ? tolerance : tolerance(e);
    if (a === e || (finite(e) && abs(a - e) <= allowed) || (notANumber(a) && notANumber(e)))
      continue;
    throw new Error(
      `${name}[${i}] is ${a} instead of ${e}: off by ${abs(a - e)}, allowed ${allowed}`,
    );
  }
}

/** The first difference in bits, if any. */
export function expectSameBits(name: string, a: Typed['data'], b: Typed['data']): void {
  const bytes = (x: Typed['data']) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
  const [p, q] = [bytes(a), bytes(b)];
  if (p.length !== q.length) throw new Error(`${name}: ${p.length} bytes and ${q.length} bytes`);
  if (Buffer.compare(p, q) === 0) return;
  const different = p.findIndex((byte, i) => byte !== q[i]);
  throw new Error(`${name}: byte ${different} of ${p.length} differs`);
}
