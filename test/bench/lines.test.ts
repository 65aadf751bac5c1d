// Peers: those in other processes take their turns by lines of JSON; what cannot run is skipped by name.
import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, expect, test } from '@jest/globals';
import { asker } from '../../bench/peers/lines.js';
import { firstLine, lacksMemory, skip } from '../../bench/peers/peer.js';

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
