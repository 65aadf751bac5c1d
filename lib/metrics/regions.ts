// Regions, the unions of classes that are scored in place of single classes, and the names in tables.
import {
  cannotCombine,
  checkInteger,
  checkList,
  cut,
  rangeError,
  typeError,
} from '../common/check.js';

/** The classes of each region, by its name. */
export type Regions = Readonly<Record<string, readonly number[]>>;

/** What tables have a row for. */
interface Scored {
  readonly classes: number;
  readonly classNames?: readonly string[];
  readonly regions?: Regions;
}

/** How many regions or classes are scored. */
export const scoredCount = ({ classes, regions }: Scored): number =>
  regions === undefined ? classes : Object.keys(regions).length;

/** The names of the regions or classes that are scored. */
export const scoredNames = ({ classes, classNames, regions }: Scored): readonly string[] =>
  regions === undefined
    ? (classNames ?? Array.from({ length: classes }, (_, c) => `${c}`))
    : Object.keys(regions);

/** As the addon takes them. */
export const memberLists = (regions: Regions | undefined): number[][] | undefined =>
  regions && Object.values(regions).map((members) => [...members]);

export function checkRegions(value: unknown, classes: number, decision: string): Regions {
  if (decision === 'threshold') {
    throw cannotCombine('regions', "decision 'threshold'", 'its classes may overlap already');
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject) throw typeError('an object of lists of classes', 'regions', value);
  const names = Object.keys(value);
  if (names.length === 0 || names.length > 65_536) {
    throw rangeError('1 to 65536 regions', 'regions', value);
  }
  const lists = names.map((name) => [
    checkName(name, 'the name of a region'),
    checkMembers((value as Record<string, unknown>)[name], `regions['${cut(name)}']`, classes),
  ]);
  return Object.freeze(Object.fromEntries(lists) as Record<string, readonly number[]>);
}

function checkMembers(value: unknown, name: string, classes: number): readonly number[] {
  const list = checkList(value, name, 'an array of classes', classes);
  if (list.length === 0 || new Set(list).size !== list.length) {
    throw rangeError('one or more classes, each once,', name, value);
  }
  return Object.freeze(list.map((c, i) => checkInteger(c, `${name}[${i}]`, 0, classes - 1)));
}

/** classes: how many names there must be, all different. */
export function checkClassNames(value: unknown, classes: number): readonly string[] {
  if (!Array.isArray(value)) throw typeError('an array of names', 'classNames', value);
  if (value.length !== classes || new Set(value).size !== classes) {
    throw rangeError(`${classes} different names, one per class,`, 'classNames', value);
  }
  return Object.freeze(Array.from(value, (name, c) => checkName(name, `classNames[${c}]`)));
}

/** A text with something in it. */
export function checkName(value: unknown, name: string): string {
  if (typeof value !== 'string') throw typeError('a text', name, value);
  if (value === '') throw rangeError('a text that is not empty', name, value);
  return value;
}

/** The option `sample`: the name of all samples of a batch, or of each. */
export function checkSampleNames(value: unknown, samples: number): string[] | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string') return Array(samples).fill(checkName(value, 'sample'));
  if (!Array.isArray(value)) throw typeError('a text, or an array of texts,', 'sample', value);
  if (value.length !== samples)
    throw rangeError(`${samples} names, one per sample,`, 'sample', value);
  return Array.from(value, (name, n) => checkName(name, `sample[${n}]`));
}

/** The names of samples in JSON, '' for none. */
export function checkStateNames(value: unknown, samples: number): string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw typeError('an array of names', 'state.names', value);
  if (value.length !== samples) throw rangeError(`${samples} names`, 'state.names', value);
  const names = Array.from(value, (name, n) =>
    name === '' ? '' : checkName(name, `state.names[${n}]`),
  );
  const given = names.filter((name) => name !== '');
  if (new Set(given).size !== given.length)
    throw rangeError('different names', 'state.names', value);
  return names;
}
