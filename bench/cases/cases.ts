// What is measured: groups of one shape, each a list of cases. The first case of a group is its base, with which the others
// are compared. All cases of a group hold the same numbers, so they have one answer and take turns in one run.
import type { Half } from '../../test/support/half.js';
import type { LossName } from './losses.js';

export interface Case {
  readonly name: string;
  readonly loss: LossName;
  readonly dtype: 'float32' | 'float64' | Half;
  readonly layout: 'channels-first' | 'channels-last';
  /** 'labels': uint8 class indices (with one class: a uint8 mask). Else a dense target of this dtype. */
  readonly target: 'labels' | 'float32' | 'uint8';
}

export function isHalf(dtype: Case['dtype']): dtype is Half {
  return dtype === 'float16' || dtype === 'bfloat16';
}

export interface Group {
  readonly name: string;
  /** [N, C, ...spatial], also for the cases that lie channels last. */
  readonly shape: readonly number[];
  readonly activation: 'sigmoid' | 'softmax';
  readonly cases: readonly Case[];
  /**
   * 'main': the targets are stated for these shapes. 'more': only with --all, or when --filter names them. 'tiny': sized for the
   * cost of a call, not for throughput; shown in microseconds, without limits.
   */
  readonly extent: 'main' | 'more' | 'tiny';
}

/** The case that the others, the peers and the scaling are compared with. */
export const base: Case = {
  name: 'float32, labels',
  loss: 'Dice',
  dtype: 'float32',
  layout: 'channels-first',
  target: 'labels',
};
const float16: Case = { ...base, name: 'float16, labels', dtype: 'float16' };
const bfloat16: Case = { ...base, name: 'bfloat16, labels', dtype: 'bfloat16' };
const float64: Case = { ...base, name: 'float64, labels', dtype: 'float64' };
const channelsLast: Case = {
  ...base,
  name: 'float32, labels, channels last',
  layout: 'channels-last',
};
const denseFloat32: Case = { ...base, name: 'float32, float32 one-hot', target: 'float32' };
const denseUint8: Case = { ...base, name: 'float32, uint8 one-hot', target: 'uint8' };
const maskFloat32: Case = { ...base, name: 'float32, float32 mask', target: 'float32' };
const otherLosses = (
  ['Jaccard', 'Tversky', 'generalized Dice', 'Dice and cross-entropy'] as const
).map((loss): Case => ({ ...base, name: loss, loss }));

const manyClasses = [
  base,
  float16,
  bfloat16,
  float64,
  channelsLast,
  denseFloat32,
  denseUint8,
  ...otherLosses,
];
// With one class both layouts are the same memory, and a label is the mask.
const oneClass = [base, float16, bfloat16, float64, maskFloat32, ...otherLosses];

function group(
  shape: readonly number[],
  activation: Group['activation'],
  cases: readonly Case[],
  extent: Group['extent'] = 'main',
): Group {
  return { name: `[${shape}] ${activation}`, shape, activation, cases, extent };
}

export const groups: readonly Group[] = [
  group([8, 1, 512, 512], 'sigmoid', oneClass),
  group([4, 4, 512, 512], 'softmax', manyClasses),
  group([2, 3, 128, 128, 128], 'softmax', manyClasses),
  group([2, 19, 256, 256], 'softmax', manyClasses),
  group([1, 1, 1024, 1024], 'sigmoid', [base, float16], 'more'),
  group([16, 1, 256, 256], 'sigmoid', [base, float16], 'more'),
  group([1, 150, 512, 512], 'softmax', [base, float16], 'more'),
  group([2, 117, 96, 96, 96], 'softmax', [float16], 'more'),
  group([1, 1, 32, 32], 'sigmoid', [base], 'tiny'),
  group([1, 4, 32, 32], 'softmax', [base], 'tiny'),
];

/** The groups with the cases whose "group case" holds the text; a base stays where one of its group is kept. */
export function select({ filter, all }: { filter?: string | undefined; all: boolean }): Group[] {
  const wanted = filter?.replaceAll(' ', '').toLowerCase() ?? '';
  const selected: Group[] = [];
  for (const group of groups) {
    if (!all && !filter && group.extent === 'more') continue;
    const keeps = (c: Case) =>
      `${group.name}${c.name}`.replaceAll(' ', '').toLowerCase().includes(wanted);
    if (!group.cases.some(keeps)) continue;
    selected.push({ ...group, cases: group.cases.filter((c, i) => i === 0 || keeps(c)) });
  }
  return selected;
}

/** necessaryBytes: logits and target read once, gradient written once. */
export function caseSize(c: Case, shape: readonly number[]) {
  const elements = shape.reduce((product, length) => product * length, 1);
  const logitsBytes = elements * { float64: 8, float32: 4, float16: 2, bfloat16: 2 }[c.dtype];
  const targetBytes =
    c.target === 'labels' ? elements / (shape[1] ?? 1) : elements * (c.target === 'uint8' ? 1 : 4);
  return { elements, logitsBytes, necessaryBytes: 2 * logitsBytes + targetBytes };
}

/** Why the tensors of all cases would take more than half of the free memory, if they would. */
export function lacksMemory({ shape, cases }: Group, freeBytes: number): string | undefined {
  const needed = cases.reduce((sum, c) => sum + caseSize(c, shape).necessaryBytes, 0);
  if (needed <= freeBytes / 2) return undefined;
  const gb = (bytes: number) => (bytes / 1e9).toFixed(1);
  return `needs ${gb(needed)} GB, more than half of the free ${gb(freeBytes)} GB`;
}
