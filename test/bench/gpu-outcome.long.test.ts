// What the benchmark on a GPU makes of its results (bench/gpu/outcome.py), which needs no GPU: targets and exit code.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';

const script = `
import json, sys
sys.path.insert(0, sys.argv[1])
from outcome import exit_code, targets_of
print(json.dumps([{"code": exit_code(results), "targets": [list(targets_of(result)) for result in results]}
                  for results in json.load(sys.stdin)]))`;

const python = (args: string[], input = '') =>
  spawnSync('python3', args, { encoding: 'utf8', input });
const withPython = python(['--version']).status === 0 ? describe : describe.skip;

type Target = [what: string, limit: number, measured: number];

const folder = path.join(__dirname, '..', '..', 'bench', 'gpu');

interface Outcome {
  code: number;
  targets: Target[][];
}

/** What comes of each list of results. */
function outcomesOf(...lists: object[][]): Outcome[] {
  const { stdout, stderr } = python(['-B', '-c', script, folder], JSON.stringify(lists));
  if (stderr) throw new Error(stderr);
  return JSON.parse(stdout);
}

const outcomeOf = (...results: object[]) => outcomesOf(results)[0] as Outcome;

const row = (ofCopy: number, toOurs: number) => ({
  of_copy: ofCopy,
  x_warpdice: { median: toOurs },
});
const rows = {
  copy: row(1, 0.4),
  warpdice: row(0.95, 1),
  'warpdice, statistics': row(0.94, 0.4),
  'warpdice, gradient': row(0.93, 0.6),
  'PyTorch eager': row(0.1, 9),
  'PyTorch eager, one-hot': row(0.1, 12),
  'torch.compile, autograd': row(0.5, 1.9),
  'torch.compile, by hand': row(0.6, 1.6),
};
const result = (name = '[8,4,4194304] softmax float32', more = {}) => ({
  case: name,
  rows,
  faults: {},
  ...more,
});

withPython('the exit code', () => {
  const lists: [string, object[], number][] = [
    ['all is right', [result()], 0],
    ["another's fault", [result('a,4,b', { faults: { 'Triton, fused': 'gradient is off' } })], 0],
    ['ours is wrong', [result(), result('a,4,b', { faults: { 'warpdice, gradient': 'off' } })], 1],
    ['the copy could not run', [result('a,4,b', { faults: { copy: 'RuntimeError' } })], 1],
    [
      'one case too large, others timed',
      [{ case: 'a,4,b', skipped: 'out of memory' }, result()],
      0,
    ],
    ['nothing of ours was timed', [result('a,4,b', { rows: { copy: rows.copy } })], 1],
    ['every case too large', [{ case: 'a,4,b', skipped: 'out of memory' }], 1],
    ['no case', [], 1],
  ];
  let outcomes: Outcome[];
  beforeAll(() => {
    outcomes = outcomesOf(...lists.map(([, results]) => results));
  });

  test.each(lists.map(([name, , code], i) => [name, code, i] as const))('%s: %d', (_, code, i) => {
    expect(outcomes[i]?.code).toBe(code);
  });
});

withPython('the targets', () => {
  const limitsOf = ({ targets }: Outcome) =>
    targets[0]?.map(([what, limit, measured]) => [what, limit, measured]);
  const limits = (one: object) => limitsOf(outcomeOf(one));

  test('both passes to the copy, the fastest version of each peer to ours', () => {
    expect(limits(result())).toEqual([
      ["warpdice, statistics, of the copy's bandwidth", 0.9, 0.94],
      ["warpdice, gradient, of the copy's bandwidth", 0.9, 0.93],
      ['PyTorch eager (its fastest) over warpdice', 8, 9],
      ['torch.compile (its fastest) over warpdice', 1.5, 1.6],
    ]);
  });

  const shares: [string, number][] = [
    ['[8,19,1048576] softmax float32', 0.9],
    ['[8,64,262144] softmax float32', 0.8],
    ['[8,4,4194304] softmax float16', 0.8],
    ['[8,4,4194304] softmax bfloat16', 0.8],
    ['[8,4,4194304] softmax float32, channels last', 0.8],
  ];
  let outcomes: Outcome[];
  beforeAll(() => {
    outcomes = outcomesOf(...shares.map(([name]) => [result(name)]));
  });

  test.each(shares.map(([name, share], i) => [name, share, i] as const))(
    '%s: %d of the copy',
    (_, share, i) => {
      expect(limitsOf(outcomes[i] as Outcome)?.[0]?.[1]).toBe(share);
    },
  );

  test('none for bandwidth where the L2 holds the tensors, nor for what was not timed', () => {
    const small = limits(result('[2,3,262144] softmax float32', { graphs: true }));
    expect(small?.map(([what]) => what)).toEqual([
      'PyTorch eager (its fastest) over warpdice',
      'torch.compile (its fastest) over warpdice',
    ]);
    expect(limits({ case: '[4,256,262144] softmax float32', skipped: 'out of memory' })).toEqual(
      [],
    );
    expect(limits(result('[8,4,4194304] softmax float32', { rows: { copy: rows.copy } }))).toEqual(
      [],
    );
  });

  test('where ours was wrong or the copy could not run, the others are no error', () => {
    const { warpdice: _, ...others } = rows;
    const without = Object.entries(others).map(([name, { of_copy }]) => [name, { of_copy }]);
    const wrong = {
      rows: Object.fromEntries(without),
      faults: { warpdice: 'value 2 instead of 1' },
    };
    const outcome = outcomeOf(result('[8,4,4194304] softmax float32', wrong));
    expect(outcome.code).toBe(1);
    expect(outcome.targets[0]).toHaveLength(2); // to the copy
    const noCopy = { rows: { warpdice: { x_warpdice: { median: 1 } }, 'warpdice, gradient': {} } };
    expect(limits(result('[8,4,4194304] softmax float32', noCopy))).toEqual([]);
  });
});

withPython('the head', () => {
  const head = 'head [1,32->117,2097152] softmax float32';

  test('has no targets, and its faults are ours', () => {
    expect(outcomeOf(result(head))).toEqual({ code: 0, targets: [[]] });
    expect(
      outcomeOf(result(head, { faults: { warpdice: 'gradient of weight is off' } })).code,
    ).toBe(1);
  });

  test('cases of both numbers of channels and classes, and their FLOP; in half precision PyTorch may round', () => {
    const list =
      'print(json.dumps([[name_of(case), flop_of(case), *(tolerance_of(case, name) for name in ("warpdice", "PyTorch eager"))] for case in CASES]))';
    const { stdout } = python([
      ...[
        '-B',
        '-c',
        `import json, sys; sys.path.insert(0, sys.argv[1])\nfrom head_cases import *\n${list}`,
      ],
      folder,
    ]);
    const cases = JSON.parse(stdout) as [string, number, number, number][];
    const row = (K: number, C: number, dtype: string) => {
      const name = `head [1,${K}->${C},2097152] softmax ${dtype}`;
      return [name, 8 * 2097152 * C * K, 1e-4, dtype === 'float32' ? 1e-4 : 0.02];
    };
    for (const C of [19, 117])
      for (const K of [32, 64]) expect(cases).toContainEqual(row(K, C, 'float32'));
    for (const dtype of ['float16', 'bfloat16']) {
      expect(cases).toContainEqual(row(32, 117, dtype));
      expect(cases).toContainEqual(row(64, 19, dtype));
    }
  });

  test('every program of the benchmark is Python', () => {
    const compile =
      'import ast, pathlib, sys; [ast.parse(p.read_text(), p.name) for p in pathlib.Path(sys.argv[1]).glob("*.py")]';
    expect(python(['-B', '-c', compile, folder]).stderr).toBe('');
  });
});
