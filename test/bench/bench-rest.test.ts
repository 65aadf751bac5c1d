// Peers whose threads spin on after their work are waited for.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { isBusy, stateOf, untilAtRest } from '../../bench/peers/rest.js';

test('the state follows the name, which may hold brackets and blanks', () => {
  expect(stateOf('12 (node) S 1 12')).toBe('S');
  expect(stateOf('12 (a) R (b) D 1 12')).toBe('D');
});

test('a process that spins is waited for, one that sleeps is not, one that ended neither', async () => {
  const spinMs = 100;
  const program = `
    process.stdout.write('spins');
    const end = Date.now() + ${spinMs};
    while (Date.now() < end);
    process.stdout.write('rests');
    setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
  const pid = child.pid as number;
  let said = '';
  child.stdout.on('data', (text) => {
    said += text;
  });
  await once(child.stdout, 'data');
  if (existsSync('/proc/self/task')) {
    expect(isBusy(pid)).toBe(true);
    await untilAtRest(pid);
    expect(said).toBe('spinsrests');
    expect(isBusy(pid)).toBe(false);
  } else {
    expect(isBusy(pid)).toBeUndefined();
  }
  child.kill();
  await once(child, 'exit');
  expect(isBusy(pid)).toBeUndefined();
  await untilAtRest(pid);
});
