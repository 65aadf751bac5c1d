// Tests that need much memory.
import { totalmem } from 'node:os';
import { test } from '@jest/globals';

/** `test`, or a test that is skipped on a machine with less than 12 GiB. */
export const testWithMemory = (totalmem() >= 12 * 2 ** 30 ? test : test.skip) as typeof test;
