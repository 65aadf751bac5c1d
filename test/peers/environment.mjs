// The Python environment of the other libraries: about 7 GB, in a cache folder outside the project, made once.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** The versions of which docs/coming-from.md speaks. nnU-Net comes last: it needs what the others bring. */
const packages = [
  ['torch==2.15.*', 'monai==1.6.1', 'segmentation-models-pytorch==0.6.0', 'kornia==0.9.0'],
  ['scipy', 'surface-distance-based-measures==0.1'],
  ['keras==3.15.1', 'optax==0.2.8', 'torchmetrics==1.9.0'],
  ['nnunetv2==2.8.1'],
];

/** What a run that cannot get its tools ends with; .ci/run counts it as skipped. */
export const cannotRun = 77;

function run(command, args) {
  return spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
}

/** The path of a Python that has the libraries, or undefined with a line that says what is missing. */
export function pythonWithPeers() {
  const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache');
  const folder = path.join(
    process.env.WARPDICE_CI_CACHE ?? path.join(cache, 'warpdice-ci'),
    'peers',
  );
  const python = path.join(folder, 'bin', 'python');
  if (existsSync(path.join(folder, 'complete'))) return python;
  if (!run('python3', ['-c', 'import venv'])) {
    console.log('skipped: the other libraries need Python 3 with venv');
    return undefined;
  }
  console.log(`installing the other libraries in ${folder}, once: some minutes`);
  rmSync(folder, { recursive: true, force: true }); // half made, by a run that was ended
  mkdirSync(path.dirname(folder), { recursive: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  if (
    !run('python3', ['-m', 'venv', folder]) ||
    !packages.every((names) => run(python, [...pip, ...names]))
  ) {
    console.log('skipped: the other libraries could not be installed from PyPI');
    return undefined;
  }
  mkdirSync(path.join(folder, 'complete'));
  return python;
}
