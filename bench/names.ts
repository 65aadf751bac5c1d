// What the rows are called.

/** Our calls; and two sizes of the same, from which the arithmetic of an element is taken. */
export const names = {
  valueAndGrad: 'valueAndGrad',
  value: 'value',
  gradient: 'gradient',
  allocating: 'valueAndGrad, allocating',
  plan: 'plan.execute',
  small: 'arithmetic, small',
  large: 'arithmetic, large',
} as const;

/** limits.ts says what they do. */
export const limitNames = {
  memcpy: 'memcpy',
  streamCopy: 'non-temporal copy',
  read: 'read',
  write: 'write',
  streamWrite: 'non-temporal write',
  necessary: 'read, write',
  streamNecessary: 'read, non-temporal write',
  exp: 'exp',
  streamExp: 'exp, non-temporal write',
  twoPasses: 'read, copy',
  streamTwoPasses: 'read, non-temporal copy',
  kept: 'copy, rewrite',
} as const;

export function isLimit(name: string): boolean {
  return Object.values<string>(limitNames).includes(name);
}

/** Two ways to do the same; the faster one is the limit. */
export const ways = {
  copy: [limitNames.memcpy, limitNames.streamCopy],
  write: [limitNames.write, limitNames.streamWrite],
  necessary: [limitNames.necessary, limitNames.streamNecessary],
  twoPasses: [limitNames.twoPasses, limitNames.streamTwoPasses],
  exp: [limitNames.exp, limitNames.streamExp],
} as const;
