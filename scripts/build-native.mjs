// Builds the addon with cmake-js: checks first what is needed, so that whatever is missing is named
// in one sentence.
//
//   node scripts/build-native.mjs [--out <folder>] [arguments of cmake-js, such as --CDWARPDICE_CUDA=OFF]
//
// Environment: WARPDICE_CUDA = AUTO | ON | OFF, WARPDICE_SANITIZE = address,undefined | thread,
// WARPDICE_WERROR = ON, CXX.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

/** A sentence for the user, not a bug: printed without a stack. */
export class BuildError extends Error {}

function onPath(program) {
  return (process.env.PATH ?? '')
    .split(path.delimiter)
    .some((folder) => folder !== '' && existsSync(path.join(folder, program)));
}

function checkTools() {
  const { platform, arch } = process;
  if (platform === 'win32') {
    throw new BuildError('Windows is not supported: use WSL 2, where warpdice runs as linux-x64.');
  }
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new BuildError(
      `${platform}-${arch} is not supported: only x64 and arm64 processors are.`,
    );
  }
  const missing = [];
  if (!onPath('cmake')) missing.push('CMake 3.22 or newer');
  const compilers = process.env.CXX ? [process.env.CXX.split(' ')[0]] : ['c++', 'g++', 'clang++'];
  if (!compilers.some((name) => (path.isAbsolute(name) ? existsSync(name) : onPath(name)))) {
    missing.push('a C++17 compiler (GCC or Clang)');
  }
  if (!onPath('ninja') && !onPath('make')) missing.push('make or Ninja');
  if (missing.length > 0) {
    const hint =
      platform === 'darwin'
        ? 'xcode-select --install; brew install cmake'
        : 'on Debian or Ubuntu: sudo apt-get install cmake g++ make';
    throw new BuildError(
      `building the addon needs ${new Intl.ListFormat('en').format(missing)} (${hint}).`,
    );
  }
}

/** The text of the first message(FATAL_ERROR) in CMake's output. */
function cmakeMessage(output) {
  const match = /CMake Error at (\S+):\d+ \(message\):\n((?: {2}[^\n]*\n|\n)+)/.exec(output);
  if (match === null) return undefined;
  const text = match[2].replace(/\s+/g, ' ').trim();
  return /^(CMakeLists\.txt|cmake\/)/.test(match[1]) ? text : `CMake says: ${text}`;
}

export function buildNative(args = [], { clean = false } = {}) {
  checkTools();
  const out = args.includes('--out') ? args[args.indexOf('--out') + 1] : 'build';
  if (clean) rmSync(path.join(root, out), { recursive: true, force: true });

  // AUTO is said aloud, or an earlier ON or OFF would stay in CMake's cache.
  const settings = { WARPDICE_CUDA: process.env.WARPDICE_CUDA || 'AUTO' };
  for (const name of ['WARPDICE_SANITIZE', 'WARPDICE_WERROR']) {
    if (process.env[name]) settings[name] = process.env[name];
  }
  const defines = Object.entries(settings).map(([name, value]) => `--CD${name}=${value}`);
  const options = ['--log-level', 'error', ...defines, ...args];
  const cli = path.join(path.dirname(require.resolve('cmake-js/package.json')), 'bin/cmake-js');
  const cmakeJs = (command, stdio) =>
    spawnSync(process.execPath, [cli, command, ...options], { cwd: root, stdio, encoding: 'utf8' });

  // Always configured again: cmake-js skips it when there is a cache, and with it changed options.
  const configured = cmakeJs('configure', ['ignore', 'pipe', 'pipe']);
  const output = `${configured.stdout}${configured.stderr}`;
  if (configured.status !== 0) {
    const message = cmakeMessage(output);
    if (message === undefined) process.stderr.write(output);
    throw new BuildError(message ?? 'CMake could not configure the build; its output is above.');
  }
  for (const [line] of output.matchAll(/^-- warpdice: .*$/gm)) console.log(line);

  options.push('--parallel', String(os.availableParallelism()));
  if (cmakeJs('build', 'inherit').status !== 0) {
    const where = process.platform === 'darwin' ? ' on macOS, where it is not tested' : '';
    throw new BuildError(`the addon did not compile${where}; the compiler's output is above.`);
  }
}

/** Runs `action` and turns a BuildError into one line and exit status 1. */
export function reportBuildErrors(action) {
  try {
    action();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`warpdice: ${error.message}`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  reportBuildErrors(() => buildNative(process.argv.slice(2)));
}
