// The Python of `npm run peers`, which has the other libraries.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../measure/machine.js';

/** Made on the first call, which takes some minutes. Undefined, after a line that says why: it could not be made. */
export async function pythonWithPeers(): Promise<string | undefined> {
  const file = path.join(root, 'test', 'peers', 'environment.mjs');
  const environment: { pythonWithPeers(): string | undefined } = await import(
    pathToFileURL(file).href
  );
  return environment.pythonWithPeers();
}
