// Packs the package, installs the tarball in an empty folder where neither a compiler nor CMake is
// to be found, and runs the README's example from the prebuilt binary: as an ES module and through
// require(). npm also rebuilds it in the layout of pnpm. Then it is compiled from the tarball: without
// tools, which must end in one sentence, and with them.
// Usage: npm run test:package -- [other node executables to run the example with]
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const npm = process.env.npm_execpath;
if (!npm) throw new Error('run this by `npm run test:package`');
if (!existsSync(`prebuilds/${process.platform}-${process.arch}`)) {
  console.error('test-package: no prebuilt binary for this machine; run `npm run prebuilds` first');
  process.exit(1);
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-package-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const bin = path.join(folder, 'bin');
const app = path.join(folder, 'app');
mkdirSync(bin);
mkdirSync(app);
symlinkSync(process.execPath, path.join(bin, 'node'));

/** Everything a run can see: node, npm's own settings, an empty home. */
const bare = { PATH: bin, HOME: folder };
for (const [name, value] of Object.entries(process.env)) {
  if (/^npm_config_(userconfig|globalconfig|registry|cache|.*proxy|cafile)$/i.test(name))
    bare[name] = value;
}

const packed = execFileSync(
  process.execPath,
  [npm, 'pack', '--json', '--pack-destination', folder],
  {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
const tarball = path.join(
  folder,
  readdirSync(folder).find((name) => name.endsWith('.tgz')),
);
const names = [...packed.matchAll(/"path": "(.*)"/g)].map(([, name]) => name);
for (const name of names) {
  const source = name.replace(/^dist\//, 'lib/').replace(/(\.d\.ts|\.js)$/, '.ts');
  if (name.startsWith('dist/') && !existsSync(source)) {
    throw new Error(`${name} is packed, but ${source} is gone: remove dist/ and build again`);
  }
}
console.log(`tarball: ${(statSync(tarball).size / 1e6).toFixed(2)} MB, ${names.length} files`);

writeFileSync(path.join(app, 'package.json'), '{ "private": true }');
execFileSync(
  process.execPath,
  [npm, 'install', '--script-shell=/bin/sh', '--no-audit', '--no-fund', tarball],
  { cwd: app, env: bare, stdio: 'inherit' },
);
const installed = path.join(app, 'node_modules/warpdice');
const packages = readdirSync(path.join(app, 'node_modules')).filter(
  (name) => !name.startsWith('.'),
);
const wanted = ['node-addon-api', 'node-api-headers', 'node-gyp-build', 'warpdice'];
if (packages.sort().join() !== wanted.join()) {
  throw new Error(
    `Expected ${wanted.join(', ')} to be installed but received ${packages.join(', ')}`,
  );
}
console.log(`installed: ${packages.join(', ')}`);
if (existsSync(path.join(installed, 'build'))) throw new Error('the install compiled something');
if (existsSync(path.join(installed, 'lib'))) throw new Error('the tarball holds lib/');

// As pnpm lays packages out: a link to a folder that npm takes for one under development, whose hooks it would run as well.
const linked = path.join(folder, 'linked');
const store = path.join(linked, 'node_modules/.pnpm/warpdice/node_modules');
cpSync(path.join(app, 'node_modules'), store, { recursive: true });
writeFileSync(path.join(linked, 'package.json'), '{ "private": true }');
symlinkSync('.pnpm/warpdice/node_modules/warpdice', path.join(linked, 'node_modules/warpdice'));
execFileSync(process.execPath, [npm, 'rebuild', '--script-shell=/bin/sh', 'warpdice'], {
  cwd: linked,
  env: bare,
  stdio: 'inherit',
});

// The example's lines `console.log(...); // expected` say what is printed.
const example = /```(?:js|ts)\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8'))?.[1];
if (example === undefined) throw new Error('README.md has no example in a ```js or ```ts block');
const expected = [...example.matchAll(/^console\.log\(.*\); *\/\/ *(.*)$/gm)].map(
  ([, text]) => text,
);
if (expected.length === 0) throw new Error('the example says nowhere what it prints');

writeFileSync(path.join(app, 'example.mjs'), example);
const body = example.replace(/^import (\{[^}]*\}) from '(.*)';$/gm, "const $1 = require('$2');");
writeFileSync(path.join(app, 'example.cjs'), `(async () => {\n${body}\n})();\n`);

/** Runs the example both ways and compares what it prints. */
function runExample(node) {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  for (const file of ['example.mjs', 'example.cjs']) {
    const printed = execFileSync(node, [file], { cwd: app, env: bare, encoding: 'utf8' }).trim();
    if (printed !== expected.join('\n')) {
      throw new Error(
        `${file} on Node ${version} printed\n${printed}\nnot\n${expected.join('\n')}`,
      );
    }
    console.log(`Node ${version}: ${file} prints what the README says`);
  }
}
for (const node of [process.execPath, ...process.argv.slice(2)]) runExample(node);

/** The addon of warpdice/mpi is there and loads: it looks into a library that is no MPI. */
function checkMpi() {
  const text = `import { connect } from 'warpdice/mpi';
    await connect({ library: 'libm.so.6' }).catch((error) => console.log(error.message));`;
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', text], {
    cwd: app,
    env: bare,
    encoding: 'utf8',
  });
  if (printed !== 'Expected an MPI library but it has no MPI_Get_library_version\n') {
    throw new Error(`warpdice/mpi printed\n${printed}`);
  }
  console.log('warpdice/mpi: its addon loads');
}
checkMpi();

/** Runs the install script of the installed package, forced to compile. */
const compile = (env) =>
  spawnSync(process.execPath, ['scripts/install.mjs'], {
    cwd: installed,
    env: { ...env, WARPDICE_BUILD_FROM_SOURCE: '1', WARPDICE_CUDA: 'OFF' },
    encoding: 'utf8',
  });
const refused = compile(bare);
if (refused.status !== 1 || !/^warpdice: .* needs CMake[^\n]*\n$/.test(refused.stderr)) {
  throw new Error(`without tools the install said\n${refused.stderr}`);
}
console.log(refused.stderr.trim());

const compiled = compile(process.env);
if (compiled.status !== 0) throw new Error(`${compiled.stdout}${compiled.stderr}`);
rmSync(path.join(installed, 'prebuilds'), { recursive: true });
console.log('compiled from the tarball:');
runExample(process.execPath);
checkMpi();
