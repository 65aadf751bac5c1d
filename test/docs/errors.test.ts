// docs/errors.md: every example is run, and the message that the page quotes compared.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { DiceLoss, WarpDiceError } from '../../lib/index.js';

const page = readFileSync(path.join(__dirname, '..', '..', 'docs', 'errors.md'), 'utf8');
const examples = [...page.matchAll(/```text\n([\s\S]*?)```/g)]
  .flatMap(([, block]) => (block as string).trim().split('\n\n'))
  .map((example) => example.split('\n') as [string, string]);

test('the page has examples', () => {
  expect(examples.length).toBeGreaterThan(12);
});

test.each(examples)('%s', (code, quoted) => {
  const scope = {
    DiceLoss,
    loss: new DiceLoss(),
    predictions: { data: Float32Array.of(0.5, 0.5), shape: [2] },
    target: { data: Uint8Array.of(1, 0), shape: [2] },
  };
  const said: string[] = [];
  const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(((message: string) => {
    said.push(`WarpDiceWarning: ${message}`);
  }) as never);
  try {
    new Function(...Object.keys(scope), code)(...Object.values(scope));
  } catch (error) {
    said.push(`${(error as Error).name}: ${(error as Error).message}`);
  } finally {
    warnings.mockRestore();
  }
  expect(said).toEqual([quoted]);
});

test('every code is in the table', () => {
  const source = readFileSync(
    path.join(__dirname, '..', '..', 'lib', 'common', 'errors.ts'),
    'utf8',
  );
  const codes = [...source.matchAll(/'(ERR_\w+)'/g)].map(([, code]) => code as string);
  const rows = [...page.matchAll(/^\| `(ERR_\w+)`/gm)].map(([, code]) => code as string);
  expect(rows.sort()).toEqual(codes.sort());
  expect(new WarpDiceError('ERR_ADDON', '').name).toBe('WarpDiceError');
});
