// The flags of npm run bench.
import { parseArgs } from 'node:util';
import { select } from './cases/cases.js';
import type { Saved } from './report/results.js';

export const help = `npm run bench -- [options]

  --quick          under 2 minutes: fewer rounds, one visit of each shape, the first SIMD target there is,
                   no peer that takes seconds a call, memory of the first case of each shape
  --all            more shapes, the scaling, the ranks and linearLogits, too
  --parts LIST     times, peers, memory, scaling, ranks, head, by commas (default times,peers,memory; peers and memory need no times)
  --filter TEXT    only cases whose shape and name hold TEXT, such as "4,4,512", "float16" or "Jaccard"
  --simd LIST      SIMD targets, by commas: avx512, avx2, baseline, neon (default avx512,avx2; neon on arm64)
  --threads N      default 2, for which the targets are stated
  --save           also writes bench/results/<cpu>-<date>.json, -quick or -part where the run was not whole
  --from FILE      measures nothing: the tables and targets of that JSON file (--save writes it anew)
  --help

bench/README.md says what each number means. npm run bench:charts draws the newest JSON file.`;

const partNames = ['times', 'peers', 'memory', 'scaling', 'ranks', 'head'] as const;
const simdNames = ['avx512', 'avx2', 'baseline', 'neon'] as const;

export interface Options {
  readonly quick: boolean;
  readonly all: boolean;
  readonly parts: readonly (typeof partNames)[number][];
  readonly filter: string | undefined;
  readonly simd: readonly (typeof simdNames)[number][];
  readonly threads: number;
  readonly save: boolean;
  readonly from: string | undefined;
  readonly help: boolean;
}

/** Without flags. */
const defaults = {
  simd: process.arch === 'arm64' ? 'neon' : 'avx512,avx2',
  threads: '2',
  parts: ['times', 'peers', 'memory'],
} as const;

/** @throws TypeError, RangeError */
export function readOptions(args: readonly string[]): Options {
  const { values, tokens } = parseArgs({
    args: [...args],
    tokens: true,
    options: {
      quick: { type: 'boolean', default: false },
      all: { type: 'boolean', default: false },
      parts: { type: 'string' },
      filter: { type: 'string' },
      simd: { type: 'string', default: defaults.simd },
      threads: { type: 'string', default: defaults.threads },
      save: { type: 'boolean', default: false },
      from: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const threads = Number(values.threads);
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
    throw new RangeError(`Expected 1 to 256 for --threads but received ${values.threads}`);
  }
  const parts = values.all ? partNames.join() : defaults.parts.join();
  const options = {
    ...values,
    parts: oneOf(partNames, '--parts', values.parts ?? parts),
    filter: values.filter,
    simd: oneOf(simdNames, '--simd', values.simd),
    threads,
    from: values.from,
  };
  const given = tokens.flatMap((token) => (token.kind === 'option' ? token.name : []));
  const measuring = given.find((name) => !['from', 'save', 'help'].includes(name));
  if (options.from !== undefined && measuring) {
    throw new TypeError(`Expected no flag but --save beside --from but received --${measuring}`);
  }
  if (select(options).length === 0) {
    throw new RangeError(
      `Expected text that a case holds for --filter but received "${values.filter}"`,
    );
  }
  return options;
}

/** What the name of a file says of a run that has less in it than one without flags, lest it replaces that. */
export function extentOf({ quick, parts, filter, simd, threads }: Saved['options']): string {
  if (quick) return '-quick';
  const whole =
    defaults.parts.every((part) => parts.includes(part)) &&
    filter === undefined &&
    (simd === undefined || defaults.simd.split(',').includes(simd)) &&
    threads === Number(defaults.threads);
  return whole ? '' : '-part';
}

function oneOf<Name extends string>(names: readonly Name[], flag: string, list: string): Name[] {
  return list.split(',').map((text) => {
    const name = names.find((known) => known === text);
    if (name) return name;
    throw new TypeError(`Expected some of ${names.join(', ')} for ${flag} but received "${text}"`);
  });
}
