// In place of test/support/garbage.ts: what cannot be tested where suites run without Jest. A test that asks for it is skipped
// (globals.mjs).
export class NotHere extends Error {}

export function expectNoGarbage() {
  throw new NotHere('the heap, which is not the same without Jest');
}
