// Compiles the addon into build/, unless one is there that loads. WARPDICE_BUILD_FROM_SOURCE=1, npm's --build-from-source or a
// value for WARPDICE_CUDA always compile. In a clone this is npm's install script and compiles dist/ too. The published package has
// no install script: there a user runs this by hand, where no package holds a binary for the platform.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BuildError, buildNative, reportBuildErrors } from './build-native.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const { WARPDICE_BUILD_FROM_SOURCE, WARPDICE_CUDA, npm_config_build_from_source } = process.env;
const fromSource =
  ['1', 'true'].includes(WARPDICE_BUILD_FROM_SOURCE ?? '') ||
  ['true', 'warpdice'].includes(npm_config_build_from_source ?? '') ||
  (WARPDICE_CUDA ?? '') !== '';

/** The addon that is compiled already; undefined when there is none. */
function existingAddon() {
  try {
    return require('node-gyp-build').path(root);
  } catch {
    return undefined;
  }
}

/** Why a file does not load, in the loader's words; undefined when it does. A damaged file can end the process that loads it. */
function faultOf(file) {
  const load =
    'try { require(process.argv[1]) } catch (error) { console.error(error.message); process.exitCode = 1 }';
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ['--addons', '--eval', load, file],
    { encoding: 'utf8' },
  );
  if (status === 0) return undefined;
  return signal ? `loading it ends the process with ${signal}` : stderr.trim();
}

// What a user compiles may run elsewhere, as in an image. A clone is compiled for the machine where it is, which takes half the time.
if (!existsSync(path.join(root, 'tsconfig.build.json'))) {
  process.env.WARPDICE_SIMD_TARGETS ||= 'ALL';
}

async function makeAddon() {
  const file = existingAddon();
  if (!fromSource) {
    const fault = file && faultOf(file);
    if (file && !fault) return;
    if (fault) console.log(`warpdice: ${path.relative(root, file)} does not load: ${fault}`);
  }
  // clean: neither an older build/ nor its cached options may survive the switch, nor the parts of an addon that does not load.
  await buildNative({ clean: fromSource || file !== undefined });
}

async function makeLibrary() {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const needed = [tsc, path.join(root, 'lib'), path.join(root, 'tsconfig.build.json')];
  if (!needed.every(existsSync)) return;
  const status = await new Promise((resolve, reject) => {
    const args = [tsc, '-p', 'tsconfig.build.json'];
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
    child.on('error', reject).on('close', resolve);
  });
  if (status !== 0) throw new BuildError("lib/ did not compile; TypeScript's output is above.");
}

await Promise.all([reportBuildErrors(makeLibrary), reportBuildErrors(makeAddon)]);
