// Labels, their names and regions, as files of JSON give them.
import { rangeError, typeError } from '../common/check.js';
import type { NiftiImage } from './nifti.js';

/** What is asked for: labels with names, or regions of them. */
export interface Wanted {
  /** Label and name; undefined: the labels that the files have. */
  readonly labels?: ReadonlyMap<number, string>;
  /** The labels of each region. */
  readonly regions?: ReadonlyMap<string, readonly number[]>;
  readonly ignore?: readonly number[];
}

const mostLabel = 65_534;

/**
 * What a file of labels says. It may be an array of names; an object of label and name; an object of name and label or, for
 * regions, labels; or any of these below `labels`, as in the dataset.json of nnU-Net, whose label or labels `ignore` are left out.
 */
export function parseLabels(json: unknown, name: string): Wanted {
  const inner = (json as { labels?: unknown } | null)?.labels;
  const value = typeof inner === 'object' && inner !== null ? inner : json;
  if (typeof value !== 'object' || value === null) {
    throw typeError('an array or an object of labels', name, value);
  }
  const entries = Object.entries(value);
  if (entries.length === 0) throw rangeError('one or more labels', name, value);
  if (entries.every(([, label]) => typeof label === 'string')) {
    const named = entries.map(
      ([label, text]) => [checkLabel(Number(label), name), text as string] as const,
    );
    return { labels: namesOf(named, name) };
  }
  if (Array.isArray(value)) throw typeError('an array of names', name, value);
  const lists = entries.map(([text, labels]) => [text, checkLabels(labels, name)] as const);
  const ignore = lists.find(([text]) => text === 'ignore')?.[1];
  const rest = lists.filter(([text]) => text !== 'ignore');
  const left = ignore === undefined ? {} : { ignore };
  if (entries.some(([, labels]) => Array.isArray(labels))) {
    // The background is no region.
    const regions = rest.filter(([, labels]) => labels.some((label) => label !== 0));
    return { regions: new Map(regions), ...left };
  }
  const named = rest.map(([text, [label]]) => [label as number, text] as const);
  return { labels: namesOf(named, name), ...left };
}

/** Label and name, where each is there once. */
function namesOf(named: readonly (readonly [number, string])[], file: string): Map<number, string> {
  const labels = new Map<number, string>();
  const names = new Set<string>();
  for (const [label, text] of named) {
    if (labels.has(label)) throw rangeError('each label once', file, label);
    if (names.has(text)) throw rangeError('each name once', file, text);
    labels.set(label, text);
    names.add(text);
  }
  return labels;
}

/** An object of regions: the labels of each. */
export function parseRegions(json: unknown, name: string): ReadonlyMap<string, readonly number[]> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw typeError('an object of regions', name, json);
  }
  const entries = Object.entries(json);
  if (entries.length === 0) throw rangeError('one or more regions', name, json);
  return new Map(entries.map(([text, labels]) => [text, checkLabels(labels, name)]));
}

function checkLabels(value: unknown, name: string): number[] {
  const labels = Array.isArray(value) ? value : [value];
  if (labels.length === 0) throw rangeError('one or more labels', name, value);
  return labels.map((label) => checkLabel(label, name));
}

export function checkLabel(label: unknown, name: string): number {
  if (Number.isInteger(label) && (label as number) >= 0 && (label as number) <= mostLabel) {
    return label as number;
  }
  throw rangeError(`labels from 0 to ${mostLabel}`, name, label);
}

/** Adds the labels of an image. file: for errors. */
export function collectLabels(image: NiftiImage, file: string, to: Set<number>): void {
  eachRun(image, (label) => {
    to.add(checkLabel(label, file));
  });
}

/** Which class each label is: their indices in ascending order, from label 0, the background. */
export function classesOf(labels: Iterable<number>): Map<number, number> {
  const sorted = [...new Set([0, ...labels])].sort((a, b) => a - b);
  if (sorted.length === 1) sorted.push(1); // a background alone is no segmentation
  return new Map(sorted.map((label, index) => [label, index]));
}

/** The classes of an image. ignored: labels, and what stands for them. */
export function toClasses(
  image: NiftiImage,
  file: string,
  classes: ReadonlyMap<number, number>,
  ignored: readonly [labels: readonly number[], index: number] | undefined,
): Uint16Array {
  const to = new Uint16Array(image.numbers.length);
  eachRun(image, (label, begin, end) => {
    const index = ignored?.[0].includes(label) ? ignored[1] : classes.get(label);
    if (index === undefined) {
      const known = [...classes.keys()].slice(0, 20).join(', ');
      throw rangeError(`labels among ${known}`, file, label, 'name all labels with --labels');
    }
    to.fill(index, begin, end);
  });
  return to;
}

/** Calls visit for each run of voxels of one label. */
function eachRun(
  { numbers, slope, intercept }: NiftiImage,
  visit: (label: number, begin: number, end: number) => void,
): void {
  for (let begin = 0, end = 0; begin < numbers.length; begin = end) {
    const number = numbers[begin];
    do end++;
    while (end < numbers.length && numbers[end] === number);
    visit(toLabel(slope * Number(number) + intercept, slope), begin, end);
  }
}

/**
 * Labels that were stored as scaled integers come back rounded, to a multiple of the slope: the integer is meant that is no further off.
 * A slope that is not small against 1 was not made for labels.
 */
function toLabel(value: number, slope: number): number {
  const integer = Math.round(value);
  const rounding = Math.max(0.001, Math.min(Math.abs(slope) / 2, 0.05)); // at least that of float32
  return slope !== 1 && Math.abs(value - integer) <= rounding ? integer : value;
}
