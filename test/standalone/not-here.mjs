// In place of test/support/process.ts and garbage.ts: what cannot be tested where suites run without Jest, perhaps on a Node that is
// emulated and cannot start another one. A test that asks for it is skipped (globals.mjs).
export class NotHere extends Error {}

const refuse = (what) => () => {
  throw new NotHere(what);
};
export const script = (name) => name;
export const run = refuse('a process of its own');
export const runWell = run;
export const expectNoGarbage = refuse('the heap, which is not the same without Jest');
