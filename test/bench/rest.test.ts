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

test('a process that spins is busy; of one that ended nothing is known', async () => {
  const program = "process.stdout.write('spins'); for (;;);";
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
  const pid = child.pid as number;
  await once(child.stdout, 'data');
  expect(isBusy(pid)).toBe(existsSync('/proc/self/task') ? true : undefined);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(isBusy(pid)).toBeUndefined();
});

test('it is waited for until two looks in a row find it at rest', async () => {
  const looks = [true, false, true, false, false, true];
  await untilAtRest(0, () => looks.shift());
  expect(looks).toEqual([true]);
});
