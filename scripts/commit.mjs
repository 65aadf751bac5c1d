import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** What stands in `root`: the commit, and + when something was changed since. */
export function commitOf(root) {
  const file = path.join(root, 'COMMIT'); // a bundle has no .git
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout ?? '';
  const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
  return git('rev-parse', '--short=12', 'HEAD').trim() + (changed ? '+' : '');
}
