// Brings what a prebuilt binary of another platform is compiled with: an old glibc's libraries from npm, Zig from PyPI.
// They are kept in a cache folder outside the tree (WARPDICE_CI_CACHE); what Debian's packages bring is only named.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { BuildError } from './build-native.mjs';
import { platforms, thisPlatform } from './platforms.mjs';

const require = createRequire(import.meta.url);
const { WARPDICE_CI_CACHE, XDG_CACHE_HOME } = process.env;
const cache =
  WARPDICE_CI_CACHE ??
  path.join(XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'warpdice-ci');
const zigVersion = '0.17.1';

function run(program, ...args) {
  const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new BuildError(`${program} ${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
}

/** Whether a program can be started. */
export const has = (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** A folder of the cache that `make(folder)` fills once. One half made, by a run that was ended, is made anew. */
function once(name, make) {
  const folder = path.join(cache, name);
  if (existsSync(path.join(folder, 'whole'))) return folder;
  console.log(`prebuilds: fetching ${name}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  make(folder);
  writeFileSync(path.join(folder, 'whole'), '');
  return folder;
}

/** Fetches a package of npm's and returns its folder. Nothing of it is run. */
export function npmPackage(spec) {
  const folder = once(spec.replaceAll('/', '+'), (made) => {
    run('npm', 'pack', '--loglevel=error', '--pack-destination', made, spec);
    const tarball = path.join(
      made,
      readdirSync(made).find((file) => file.endsWith('.tgz')),
    );
    run('tar', '-xf', tarball, '-C', made);
    rmSync(tarball);
  });
  return path.join(folder, 'package');
}

/** The folder of the old glibc's libraries for a platform. Only they are used, at link time. */
export function sysrootOf(name) {
  const { triple, package: spec } = platforms[name].sysroot;
  const root = `./${triple}-unknown-linux-gnu/sysroot`;
  const folder = once(`sysroot-${triple}-${spec.split('@').at(-1)}`, (made) => {
    const archive = path.join(npmPackage(spec), `${triple}-unknown-linux-gnu.tar.xz`);
    run('tar', '-xf', archive, '-C', made, `${root}/lib`, `${root}/usr/lib`);
    // Its linker scripts name these.
    for (const lib of ['lib', 'usr/lib']) symlinkSync('lib', path.join(made, root, `${lib}64`));
  });
  return path.join(folder, root);
}

/** Zig's program. */
export function zigProgram() {
  const folder = once(`ziglang-${zigVersion}`, (made) => pip(`ziglang==${zigVersion}`, made));
  return path.join(folder, 'ziglang', process.platform === 'win32' ? 'zig.exe' : 'zig');
}

/** The import library of node.exe: which of its functions an addon may call. Returns the file. */
export function makeImportLibrary() {
  const folder = path.join(cache, 'node-import-library');
  mkdirSync(folder, { recursive: true });
  const { def_paths: definitions } = require('node-api-headers');
  const names = [definitions.js_native_api_def, definitions.node_api_def].flatMap((file) =>
    readFileSync(file, 'utf8')
      .split(/\r?\n/)
      .filter((line) => /^\s*napi_|^\s*node_api_/.test(line)),
  );
  const definition = path.join(folder, 'node.def');
  writeFileSync(definition, `NAME NODE.EXE\nEXPORTS\n${names.join('\n')}\n`);
  const library = path.join(folder, 'libnode.a');
  run(zigProgram(), 'dlltool', '-m', 'i386:x86-64', '-d', definition, '-l', library);
  return library;
}

/** Unpacks a package of PyPI's into a folder, for this platform unless options say otherwise. */
function pip(spec, folder, ...options) {
  const quiet = ['--quiet', '--disable-pip-version-check'];
  const python = process.platform === 'win32' ? 'python' : 'python3';
  run(python, '-m', 'pip', 'install', ...quiet, '--no-deps', ...options, '--target', folder, spec);
}

/** Fetches a wheel of PyPI's for another platform and returns the folder of its files. */
export const wheel = (spec, platform) =>
  once(`${spec.replace('==', '-').replace('.*', '')}-${platform}`, (made) =>
    pip(spec, made, '--only-binary', ':all:', '--platform', platform),
  );

/** Whether the addon of a platform has CUDA, and nvcc's own libraries are not for its processor. */
export const needsCudaLibraries = (name) =>
  platforms[name].cuda === true && process.env.WARPDICE_CUDA !== 'OFF' && name !== thisPlatform();

/** The folder of CUDA's static libraries for another processor than this one's, in nvcc's version. */
export function cudaLibrariesOf(name) {
  const nvcc = [process.env.CUDACXX, 'nvcc', '/usr/local/cuda/bin/nvcc'].find(
    (one) => one && has(one),
  );
  if (!nvcc)
    throw new BuildError(
      `${name} with CUDA needs nvcc on PATH; WARPDICE_CUDA=OFF leaves CUDA out.`,
    );
  const [, release, major] = /release ((\d+)\.\d+)/.exec(run(nvcc, '--version'));
  const folder = wheel(`nvidia-cuda-runtime==${release}.*`, platforms[name].cudaWheels);
  return path.join(folder, `nvidia/cu${major}/lib`);
}

/** Fetches a package of another Debian, from where this system gets its own, and returns its files' folder. */
export const debianPackage = (name, suite, architecture = 'amd64') =>
  once(`${suite}-${name}-${architecture}`, (made) => {
    const lists = path.join(made, 'lists');
    mkdirSync(path.join(lists, 'partial'), { recursive: true });
    const sources = path.join(made, 'sources.list');
    const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
    writeFileSync(sources, `deb [signed-by=${keys}] ${debianMirror()} ${suite} main\n`);
    const options = [
      `Dir::Etc::SourceList=${sources}`,
      'Dir::Etc::SourceParts=-',
      `Dir::State::Lists=${lists}`,
      'Dir::State::Status=/dev/null', // or only what is newer than what is installed is seen
      'APT::Sandbox::User=root',
      `APT::Architecture=${architecture}`,
    ].flatMap((option) => ['-o', option]);
    run('apt-get', ...options, '-qq', 'update');
    const inFolder = ['-c', 'cd "$1" && shift && exec apt-get "$@"', 'sh', made];
    run('sh', ...inFolder, ...options, '-qq', 'download', name);
    const deb = readdirSync(made).find((file) => file.endsWith('.deb'));
    run('dpkg-deb', '-x', path.join(made, deb), made);
  });

function debianMirror() {
  const repositories = run('apt-get', 'indextargets', '--format', '$(REPO_URI)').split('\n');
  const mirror = repositories.find((uri) => /\/debian\/?$/.test(uri));
  if (mirror === undefined) throw new BuildError('this system has no sources of Debian packages.');
  return mirror;
}

/** Brings the tools of a platform; throws a BuildError that names what is lacking. */
export function bringTools(name) {
  const { compiler, cxx, debian } = platforms[name];
  if (compiler === 'zig') {
    zigProgram();
    return;
  }
  if (!has(cxx)) {
    throw new BuildError(
      `${name} needs ${cxx}${debian ? ` (on Debian: apt-get install ${debian})` : ''}.`,
    );
  }
  sysrootOf(name);
  if (needsCudaLibraries(name)) cudaLibrariesOf(name);
}
