// Makes prebuilt binaries: packages/<name>/prebuilds/<platform>-<arch>/warpdice.node.
//
//   npm run prebuilds                        for this platform
//   npm run prebuilds -- --platform <name>   for another one, on Linux; several times for several
//   npm run prebuilds -- --all               --others: all but this one
//
// WARPDICE_CUDA=OFF leaves CUDA out of linux-x64 and linux-arm64. Each binary is checked by scripts/check-binary.mjs afterwards.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { BuildError, reportBuildErrors } from './build-native.mjs';
import { packageFolder, platforms, prebuiltFile, thisPlatform } from './platforms.mjs';
import { bringTools } from './prebuild-tools.mjs';

const root = path.dirname(import.meta.dirname);
const { values: options } = parseArgs({
  options: {
    platform: { type: 'string', multiple: true, default: [] },
    all: { type: 'boolean', default: false },
    others: { type: 'boolean', default: false },
  },
});

function run(program, args, env = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: 'inherit',
  });
  if (status !== 0)
    throw new BuildError(`${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
}

function make(name) {
  const { strip = 'true' } = platforms[name];
  const [platform, arch] = name.split('-');
  console.log(`prebuilds: ${name}`);
  bringTools(name);
  rmSync(path.join(root, prebuiltFile(name)), { force: true });
  const prebuildify = path.join(root, 'node_modules/prebuildify/bin.js');
  const folder = path.join(root, process.env.WARPDICE_PREBUILT_FOLDER ?? `build-${name}`);
  mkdirSync(folder, { recursive: true });
  const out = path.join(root, packageFolder(name));
  const where = ['--cwd', folder, '--out', out, '--name', 'warpdice'];
  const script = path.join(root, 'scripts/prebuild-backend.mjs');
  // Windows starts no script by its first line; prebuildify hands this to a shell there.
  const backend = ['--node-gyp', process.platform === 'win32' ? `node "${script}"` : script];
  run(process.execPath, [prebuildify, '--napi', '--strip', ...where, ...backend], {
    WARPDICE_PLATFORM: name,
    PREBUILD_PLATFORM: platform,
    PREBUILD_ARCH: arch,
    PREBUILD_STRIP_BIN: strip,
  });
  run(process.execPath, ['scripts/check-binary.mjs', name]);
}

await reportBuildErrors(async () => {
  const known = Object.keys(platforms);
  const names = options.platform;
  if (options.all || options.others)
    names.push(...known.filter((name) => options.all || name !== thisPlatform()));
  if (names.length === 0) names.push(thisPlatform());
  for (const name of names) {
    if (!platforms[name]) {
      throw new BuildError(
        `Expected one of ${known.join(', ')} for --platform but received '${name}'`,
      );
    }
  }
  for (const name of names) make(name);
});
