// The numbers that the addon uses for names such as 'softmax'. native/node/codes.h has the same table; a test compares them.

/** The steps of a call. A call's `steps` is the sum of the steps that it does. */
export const Step = { statistics: 1, finalize: 2, gradient: 4, targetGradient: 8 } as const;

export const DTypeCode = {
  float32: 0,
  float64: 1,
  float16: 2,
  bfloat16: 3,
  uint8: 4,
  int32: 5,
  int64: 6,
  int16: 7,
  uint16: 8,
} as const;

/** Whether a dtype's number is that of a float dtype. */
export const isFloatCode = (code: number): boolean => code <= DTypeCode.bfloat16;

export const LossKind = {
  dice: 0,
  jaccard: 1,
  tversky: 2,
  generalized: 3,
  wasserstein: 4,
  matthews: 5,
  microMatthews: 6,
  multiclassMatthews: 7,
} as const;

/** Losses that are no function of sums. */
export const DirectKind = {
  none: 0,
  lovasz: 1,
  'lovasz-hinge': 2,
  'top-k': 3,
  boundary: 4,
  hausdorff: 5,
  cldice: 6,
} as const;
export const Reduction = { none: 0, mean: 1, sum: 2 } as const;
export const Activation = { none: 0, sigmoid: 1, softmax: 2 } as const;
export const Overlap = { product: 0, minimum: 1, wasserstein: 2 } as const;
export const Transform = { none: 0, power: 1, log: 2, 'log-cosh': 3 } as const;
export const Weighting = { square: 0, simple: 1, uniform: 2, plusOne: 3 } as const;
/** The parts of the Unified Focal loss. */
export const Unified = { none: 0, symmetric: 1, asymmetric: 2 } as const;
export const AbsentPolicy = { formula: 0, skip: 1, perfect: 2, worst: 3 } as const;
/** How predictions become classes in the metrics. */
export const Decision = { argmax: 0, threshold: 1, labels: 2 } as const;

/** All tables, for the test. */
export const codes = {
  Step,
  DTypeCode,
  LossKind,
  DirectKind,
  Reduction,
  Activation,
  Overlap,
  Transform,
  Weighting,
  Unified,
  AbsentPolicy,
  Decision,
};

/** The names of a table, in the order of their numbers. */
export const namesOf = <Table extends object>(table: Table) =>
  Object.keys(table) as (keyof Table)[];

/** The name of a number. */
export const nameOf = <Table extends Readonly<Record<string, number>>>(
  table: Table,
  code: number,
) => namesOf(table).find((name) => table[name] === code);
