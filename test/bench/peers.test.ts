// The peers that need nothing beyond what is installed here: their value and gradient are ours, which are right; what is not is found.

import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, describe, expect, test } from '@jest/globals';
import { faultOf, solve } from '../../bench/cases/answer.js';
import { base } from '../../bench/cases/cases.js';
import { makeProblem } from '../../bench/cases/problem.js';
import { asker } from '../../bench/peers/lines.js';
import {
  firstLine,
  lacksMemory,
  type OpenPeers,
  type PeerResult,
  peerFault,
  skip,
} from '../../bench/peers/peer.js';
import { openPlain } from '../../bench/peers/plain.js';
import { openTfjs } from '../../bench/peers/tfjs.js';

function ours(activation: 'sigmoid' | 'softmax', shape: readonly number[]): PeerResult {
  const problem = makeProblem({ activation }, base, shape);
  const { loss, logits, target, out } = problem;
  loss.valueAndGrad(logits, target, { out });
  expect(faultOf(problem, solve({ activation }, shape, 'Dice'), out, 1)).toBeUndefined();
  return { value: out.value.itemSync(), grad: out.grad.data as Float32Array };
}

describe.each([
  ['sigmoid' as const, [3, 1, 5, 7]],
  ['softmax' as const, [2, 4, 8, 16]],
])('%s %j', (activation, shape) => {
  test.each<[string, OpenPeers]>([
    ['TypeScript loop', openPlain],
    ['TensorFlow.js, cpu', openTfjs('cpu')],
  ])('%s is right, and so it is when it is called again', async (name, open) => {
    const { peers, skipped, close } = await open(
      makeProblem({ activation }, base, shape),
      activation,
    );
    expect(skipped).toBeUndefined();
    expect(peers.map((peer) => peer.name)).toEqual([name]);
    for (const peer of peers) {
      expect(await peer.time(2)).toBeGreaterThan(0);
      expect(peerFault(await peer.result(), ours(activation, shape))).toBeUndefined();
    }
    close();
  });
});

test('a value or a last gradient that is off is a fault, and so is NaN', () => {
  const right = ours('softmax', [2, 4, 8, 16]);
  const largest = right.grad.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
  const last = right.grad.length - 1;
  const off = (by: number) => {
    const grad = right.grad.slice();
    grad[last] = Number(grad[last]) + by * largest;
    return { ...right, grad };
  };
  expect(peerFault(off(0.9e-4), right)).toBeUndefined();
  for (const by of [1.1e-4, -1.1e-4, Number.NaN]) {
    expect(peerFault(off(by), right)).toMatch(new RegExp(`^gradient .* at ${last}$`));
  }
  for (const value of [right.value + 1.1e-5, Number.NaN]) {
    expect(peerFault({ ...right, value }, right)).toMatch(/^value /);
    expect(peerFault({ ...right, value: right.value + 9e-4 }, right, 1e-3)).toBeUndefined();
    expect(peerFault({ ...right, value: right.value + 2e-3 }, right, 1e-3)).toMatch(/^value /);
  }
});

// Peers: those in other processes take their turns by lines of JSON; what cannot run is skipped by name.
describe('peers in other processes', () => {
  let child: ChildProcess;
  afterEach(() => {
    child.kill();
  });

  /** A process that answers each request with what `answer` makes of it. */
  function start(answer: string): ChildProcess {
    const script = `require('node:readline').createInterface(process.stdin).on('line', (line) => {
    const request = JSON.parse(line);
    const answer = ${answer};
    console.log(JSON.stringify(answer));
  });`;
    child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'ignore'] });
    return child;
  }

  test('a request carries its command and fields, and resolves with its answer', async () => {
    const ask = asker(start('({ got: request })'));
    for (const calls of [1, 2]) {
      const got = { command: 'time', name: 'by hand', calls };
      expect(await ask('time', { name: 'by hand', calls })).toEqual({ got });
    }
  });

  test('an answer with an error rejects, and the next request works', async () => {
    const ask = asker(start("request.bad ? { error: 'ValueError: no' } : { ms: 5 }"));
    await expect(ask('time', { bad: true })).rejects.toThrow('ValueError: no');
    expect(await ask('time', {})).toEqual({ ms: 5 });
  });

  test('a process that ends rejects the request under way, and every later one', async () => {
    const ask = asker(start('process.exit(3)'));
    await expect(ask('time', {})).rejects.toThrow('it ended with 3');
    await expect(ask('time', {})).rejects.toThrow('it ended with 3');
  });

  test('a program that is not there rejects', async () => {
    child = spawn('/nonexistent/python3', [], { stdio: ['pipe', 'pipe', 'ignore'] });
    await expect(asker(child)('load', {})).rejects.toThrow('ENOENT');
  });

  test('a peer that would take more than half of the free memory says so', () => {
    const logits = { byteLength: 1e9 } as Parameters<typeof lacksMemory>[0]['logits'];
    expect(lacksMemory({ logits }, 4, 8e9)).toBeUndefined();
    expect(lacksMemory({ logits }, 4, 7.9e9)).toBe(
      'needs about 4.0 GB, more than half of the free 7.9 GB',
    );
  });

  test('a reason is one line', () => {
    expect(firstLine(new Error('Cannot find module\nRequire stack:'))).toBe('Cannot find module');
    const { peers, skipped } = skip('not there');
    expect([peers, skipped]).toEqual([[], 'not there']);
  });
});
