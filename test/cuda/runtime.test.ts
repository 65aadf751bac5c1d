// The host's side of CUDA (native/cuda/runtime) on the fake CUDA runtime of test/cuda/fake-runtime: no GPU, no toolkit.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const program = path.join(__dirname, '../../build/emulated/runtime_test');

test('memory, streams, events, graphs, errors and completion', () => {
  expect(execFileSync(program, { encoding: 'utf8' })).toMatch(/ 0 failures\n$/);
});

test('the same without stream-ordered allocation', () => {
  expect(execFileSync(program, ['no-pools'], { encoding: 'utf8' })).toMatch(/ 0 failures\n$/);
});
