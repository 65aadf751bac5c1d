// Publishes the version that package.json names, or says why it is not whole:
//
//   npm run release                      looks at everything, runs all checks, tags and publishes
//   npm run release -- --dry-run         the same up to the tag, which it only names
//   npm run release -- --check-package   only whether what would be published is whole
//
// Run it in a clean clone, with nvcc. It publishes the folders that `npm run packages` makes, the platforms' before the main one,
// which names them; the clone itself is private. Exit status: 0 when all is whole, 1 when not.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { packageFolder } from './platforms.mjs';
import { problemsOfPackage, problemsOfRepository } from './release-problems.mjs';

const { values: options } = parseArgs({
  options: {
    'dry-run': { type: 'boolean', default: false },
    'check-package': { type: 'boolean', default: false },
  },
});
const root = process.cwd();

function refuse(problems) {
  for (const problem of problems) console.error(`release: ${problem}`);
  process.exit(1);
}

function run(command, ...args) {
  console.log(`release: ${command} ${args.join(' ')}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) {
    refuse([`${command} ${args.join(' ')} failed${error ? ` (${error.message})` : ''}`]);
  }
}

const refuseIfAny = (problems) => problems.length === 0 || refuse(problems);

if (options['check-package']) {
  refuseIfAny(problemsOfPackage(root));
} else {
  refuseIfAny(problemsOfRepository(root)); // before the checks, which take long
  run('bash', '.ci/run');
  run('npm', 'run', 'release:check'); // makes the prebuilt binary of this platform
  refuseIfAny([...problemsOfRepository(root), ...problemsOfPackage(root)]);
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const { version, prebuiltPlatforms } = manifest;
  run('npm', 'run', 'packages');
  if (options['dry-run']) {
    console.log(
      `release: version ${version} is whole; without --dry-run it is tagged and published`,
    );
  } else {
    run('git', 'tag', '--annotate', `v${version}`, '--message', `Version ${version}`);
    for (const name of [...prebuiltPlatforms, 'warpdice']) {
      run('npm', 'publish', `./${packageFolder(name)}`);
    }
    console.log(`release: published; now git push origin v${version}`);
  }
}
