// The host runtime of native/cuda, compiled against the fake CUDA runtime of test/cuda/fake-runtime: no GPU, no toolkit.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');
const sources = [
  'native/cuda/runtime/memory.cc',
  'native/cuda/runtime/completion.cc',
  'native/cuda/runtime/graph.cc',
  'native/cuda/runtime/transfer.cc',
  'test/cuda/fake-runtime/devices.cc',
  'test/cuda/fake-runtime/memory.cc',
  'test/cuda/fake-runtime/sharing.cc',
  'test/cuda/fake-runtime/streams.cc',
  'test/cuda/fake-runtime/runtime_test.cc',
];

describe('the host runtime on a fake CUDA runtime', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-fake-'));
  const program = path.join(folder, 'runtime_test');

  beforeAll(() => {
    const flags =
      '-std=c++17 -g -Wall -Wextra -Werror -pthread -Itest/cuda/fake-runtime -Inative'.split(' ');
    const compiler = process.env.CXX ?? 'c++';
    execFileSync(compiler, [...flags, ...sources, '-o', program], { cwd: root });
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test('memory, streams, events, graphs, errors and completion', () => {
    expect(execFileSync(program, { encoding: 'utf8' })).toMatch(/ 0 failures\n$/);
  });

  test('the same without stream-ordered allocation', () => {
    expect(execFileSync(program, ['no-pools'], { encoding: 'utf8' })).toMatch(/ 0 failures\n$/);
  });
});
