// The tables: what was not timed is named, and has no figure.
import { expect, test } from '@jest/globals';
import { machineText, tables, targetsText } from '../../bench/report/tables.js';
import { caseOf, ms, savedOf } from './fixture.js';

const group = '[4,4,512,512] softmax';

test('a wrong peer, our own wrong result, and one that was skipped', () => {
  const peers = [
    { group, name: 'jax-js, wasm', fault: 'value 0.4676 instead of 0.4674' },
    { group, name: 'beside ours', oursFault: 'value 1 instead of 2' },
    { group, name: 'PyTorch', skipped: 'not there' },
  ];
  const [text = ''] = tables({ peers }, 2);
  const [wrong, ours, skipped] = text.split('\n').filter((line) => line.includes(group));
  expect(wrong).toMatch(/jax-js, wasm(\s|│)+WRONG, not timed: value 0.4676 instead of 0.4674/);
  expect(ours).toMatch(/beside ours(\s|│)+OURS WRONG, not timed: value 1 instead of 2/);
  expect(skipped).toMatch(/PyTorch(\s|│)+skipped: not there/);
});

test('wrong calls, shapes that lack memory, and a machine that was disturbed', () => {
  const timesOf = (q3: number) => {
    const calls = [{ name: 'valueAndGrad', ms: { ...ms(1), q3 } }];
    const cases = [caseOf(1, { calls, faults: ['value: value 1 instead of 2'] })];
    const skipped = [{ group, reason: 'needs 9.0 GB' }];
    return tables({ results: [{ simd: 'avx512', threads: 2, cases, skipped }] }, 2).join('\n');
  };
  expect(timesOf(1)).toContain(`WRONG, not timed: ${group} float32, labels, value: value 1`);
  expect(timesOf(1)).toContain(`skipped: ${group}, needs 9.0 GB`);
  expect(timesOf(1)).not.toContain('disturbed');
  expect(timesOf(1.6)).toContain('1 of 1 rows have quartiles 1.5 times apart');
});

test('targets that nothing was measured for are counted apart', () => {
  const target = { name: 'a', shape: '', limit: '<= 1', measured: '' };
  const text = targetsText([true, false, undefined].map((met) => ({ ...target, met })));
  expect(text).toContain('Targets: 1 of 2 met, 1 not measured.');
  expect(targetsText([])).toBe('');
});

test('a busy machine is said in the head', () => {
  const { machine } = savedOf([]);
  expect(machineText(machine)).not.toContain('load average');
  expect(machineText({ ...machine, loadAverage: 1 })).toContain('something else is using');
});
