// What a loss takes, and what advice about an unknown option has to know.

/** The options of every loss, by name. */
export const lossOptionNames = [
  'activation',
  'denominator',
  'overlap',
  'smoothNumerator',
  'smoothDenominator',
  'transform',
  'gamma',
  'absent',
  'reduction',
  'batch',
  'background',
  'classWeights',
  'ignoreIndex',
  'layout',
  'crossEntropy',
  'focal',
  'overlapWeight',
  'allReduce',
  'reproducible',
] as const;
