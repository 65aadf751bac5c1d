// What the rows are called.

export const calls = {
  valueAndGrad: 'valueAndGrad',
  value: 'value',
  gradient: 'gradient',
  plan: 'plan.execute',
  allocating: 'valueAndGrad, allocating',
} as const;

/** Each pass in two ways, with ordinary stores and around the caches: the faster one counts. */
export const passes = {
  copy: ['memcpy', 'non-temporal copy'],
  traffic: ['read, write', 'read, non-temporal write'],
  exp: ['exp', 'exp, non-temporal write'],
} as const;

export const isPass = (name: string) =>
  Object.values(passes).some((ways) => (ways as readonly string[]).includes(name));
