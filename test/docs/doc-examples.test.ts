/** @jest-environment ./test/support/emulated-environment.cjs */
// The examples of the doc comments and of docs/metrics.md are run, and the numbers that they claim are compared.
//
// In a line `expression; // comment` the comment is one or more values joined by ` = `, up to a colon with a space:
// `1/3`, `[2/3, 4/5]: class 1 has TP 2`, `1 - 2.4 / 3.2 = 0.25`. Digits that go on end in `...`. Other comments are words.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import * as warpdice from '../../lib/index.js';
import { headLoss, tfLoss } from '../../lib/tfjs.js';
import * as tf from '../support/tensorflow.js';

beforeAll(() => {
  tf.env().set('IS_TEST', true); // no advice to install tfjs-node
});

const lib = path.join(__dirname, '..', '..', 'lib');
const scope: Record<string, unknown> = { ...warpdice, tf, tfLoss, headLoss };
const AsyncFunction = (async () => {}).constructor as FunctionConstructor;

interface Example {
  /** File and the declaration that the comment belongs to. */
  name: string;
  lines: string[];
}

function examplesOf(file: string): Example[] {
  const found: Example[] = [];
  const source = readFileSync(path.join(lib, file), 'utf8');
  for (const [, comment, declaration] of source.matchAll(
    /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*([^\n]*)/g,
  )) {
    const text = (comment as string).replaceAll(/^ *\* ?/gm, '');
    for (const example of text.split(/^@example$/m).slice(1)) {
      const [code = ''] = example.split(/^@/m);
      const name = (declaration as string).match(/(?:class|function) (\w+)|(\w+)\(/);
      found.push({
        name: `${file}: ${name?.[1] ?? name?.[2] ?? declaration}`,
        lines: code.split('\n'),
      });
    }
  }
  return found;
}

/** What a comment claims: values, with how exactly. */
function claims(comment: string): { value: unknown; within: number }[] {
  const [values = ''] = comment.split(/:\s|;\s/);
  return values.split(' = ').flatMap((text) => {
    const digits = text.trim().match(/^-?\d*\.(\d+)\.\.\.$/);
    if (digits)
      return [{ value: Number.parseFloat(text), within: 10 ** -(digits[1] as string).length }];
    try {
      return [
        { value: new Function(`'use strict'; return (${text});`)() as unknown, within: 1e-7 },
      ];
    } catch {
      return []; // words
    }
  });
}

function expectClose(actual: unknown, expected: unknown, within: number): void {
  if (typeof expected === 'number') {
    expect(Math.abs(Number(actual) - expected)).toBeLessThanOrEqual(within);
  } else if (Array.isArray(expected)) {
    const values = Array.from(actual as ArrayLike<unknown>);
    expect(values).toHaveLength(expected.length);
    for (let i = 0; i < expected.length; i++) expectClose(values[i], expected[i], within);
  } else {
    expect(actual).toEqual(expected);
  }
}

/** Runs an example; how many claims it made. */
async function run({ lines }: Example): Promise<number> {
  let compared = 0;
  const check = (actual: unknown, comment: string) => {
    for (const { value, within } of claims(comment)) {
      expectClose(actual, value, within);
      compared++;
    }
  };
  const code = lines.map((line) => {
    const match = line.match(/^(?!const |let |\/\/|\s)(.*);\s*\/\/ (.*)$/);
    return match ? `check((${match[1]}), ${JSON.stringify(match[2])});` : line;
  });
  await AsyncFunction(
    'check',
    ...Object.keys(scope),
    code.join('\n'),
  )(check, ...Object.values(scope));
  return compared;
}

const examples = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .flatMap(examplesOf);

test.each(examples.map((example) => [example.name, example] as const))('%s', async (_, example) => {
  expect(await run(example)).toBeGreaterThan(0);
});

test('docs/metrics.md', async () => {
  const page = readFileSync(path.join(lib, '../docs/metrics.md'), 'utf8');
  const blocks = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map(([, block]) => block as string);
  const lines = blocks.join('\n').split('\n');
  const code = lines.filter((line) => !line.startsWith('import '));
  expect(await run({ name: 'docs/metrics.md', lines: code })).toBeGreaterThan(blocks.length);
});

test('every loss, and every class that is made or returned, has one', () => {
  const losses = Object.entries(warpdice).filter(
    ([, value]) => typeof value === 'function' && value.prototype instanceof warpdice.Loss,
  );
  expect(losses.length).toBeGreaterThan(1);
  const wanted = [
    ...losses.map(([name]) => name),
    'ComponentMetrics',
    'Plan',
    'SegmentationMetrics',
    'SurfaceMetrics',
    'Tensor',
  ];
  const names = examples.map(({ name }) => name.split(': ')[1]);
  expect(wanted.filter((name) => !names.includes(name))).toEqual([]);
});

test('a wrong claim is seen', async () => {
  for (const line of ['1 / 3; // 0.333...', '[1, 2]; // [1, 2]: words', '2; // 1 + 1 = 2'])
    expect(await run({ name: '', lines: [line] })).toBeGreaterThan(0);
  for (const line of [
    '1 / 3; // 0.335...',
    '[1, 2]; // [1, 2.1]',
    '2; // 1 + 1 = 3',
    '[1]; // [1, 2]',
  ])
    await expect(run({ name: '', lines: [line] })).rejects.toThrow();
});
