// What every suite begins with. It changes no outcome: Jest compares typed arrays and keeps stack traces at great length.
import { expect } from '@jest/globals';

// Of each expect() Jest takes a stack trace, of up to 100 frames.
Error.stackTraceLimit = 15;

const isTyped = (x: unknown): x is Uint8Array => ArrayBuffer.isView(x) && !(x instanceof DataView);

/** Arrays of the same type and bits are equal. Others are left to Jest, which looks at each element. */
function sameBits(a: unknown, b: unknown): true | undefined {
  if (!isTyped(a) || !isTyped(b)) return undefined;
  if (a.constructor !== b.constructor || a.byteLength !== b.byteLength) return undefined;
  const bytes = (x: Uint8Array) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
  return bytes(a).equals(bytes(b)) ? true : undefined;
}

expect.addEqualityTesters([sameBits]);
