// Bundles program.mjs as docs/using-it-in.md says, moves what the bundler made to another folder, and runs it there.
import assert from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import * as esbuild from 'esbuild';
import * as vite from 'vite';
import webpack from 'webpack';

const require = createRequire(import.meta.url);
const app = import.meta.dirname;
const program = path.join(app, 'program.mjs');
const elsewhere = path.join(os.tmpdir(), path.basename(app));
process.on('exit', () => rmSync(elsewhere, { recursive: true, force: true }));

/** What a program prints. */
function run(file) {
  const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  return { stdout, stderr };
}

const expected = run(program).stdout;
assert.match(expected, /^0\.\d{6}\n$/);
const prints = (file) => assert.deepEqual(run(file), { stdout: expected, stderr: '' }, file);

/** `bundle(folder, external)` puts its one file in a folder. */
async function check(name, bundle) {
  const begin = performance.now();
  const external = path.join(app, 'out', name);
  prints(path.join(external, await bundle(external, true)));

  const inside = path.join(elsewhere, name);
  const file = path.join(inside, await bundle(inside, false));
  const said = run(file).stderr;
  assert(said.includes(': warpdice is bundled without its compiled addon: '), `${name} does not say so`);
  const prebuilds = path.join(app, `node_modules/@warpdice/${process.platform}-${process.arch}/prebuilds`);
  cpSync(prebuilds, path.join(inside, 'prebuilds'), { recursive: true });
  prints(file);
  console.log(`${name}: external, and bundled (${Math.round(performance.now() - begin)} ms)`);
}

await check('esbuild', async (outdir, external) => {
  const { warnings } = await esbuild.build({
    entryPoints: [program],
    bundle: true,
    platform: 'node',
    format: external ? 'esm' : 'cjs',
    outExtension: { '.js': external ? '.mjs' : '.cjs' },
    external: external ? ['warpdice'] : [],
    outdir,
  });
  assert.deepEqual(warnings, []);
  return external ? 'program.mjs' : 'program.cjs';
});

await check('vite', async (outDir, external) => {
  const warnings = [];
  await vite.build({
    root: app,
    configFile: false,
    logLevel: 'silent',
    customLogger: { ...vite.createLogger('silent'), warn: (text) => warnings.push(text) },
    ssr: external ? {} : { noExternal: true },
    build: { ssr: program, outDir, emptyOutDir: true },
  });
  assert.deepEqual(warnings, []);
  return 'program.mjs';
});

await check('webpack', async (folder, external) => {
  const stats = await new Promise((resolve, reject) => {
    const config = {
      context: app,
      mode: 'production',
      optimization: { minimize: false },
      target: 'node',
      entry: program,
      externals: external ? { warpdice: 'commonjs warpdice' } : {},
      output: { path: folder, filename: 'program.cjs' },
    };
    webpack(config, (error, result) => (error ? reject(error) : resolve(result)));
  });
  assert(!stats.hasErrors() && !stats.hasWarnings(), stats.toString('errors-warnings'));
  return 'program.cjs';
});

/** Next.js: the standalone server, which has only the files that Next.js has traced. */
async function checkNext() {
  const begin = performance.now();
  const folder = path.join(app, 'next');
  const next = path.join(app, '../node_modules/next/dist/bin/next');
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1' };
  const built = spawnSync(process.execPath, [next, 'build'], { cwd: folder, env, encoding: 'utf8' });
  assert.equal(built.status, 0, built.stdout + built.stderr);
  const standalone = path.join(elsewhere, 'next');
  mkdirSync(elsewhere, { recursive: true });
  cpSync(path.join(folder, '.next/standalone'), standalone, { recursive: true, verbatimSymlinks: true });
  const server = path.join(standalone, path.basename(app), 'next/server.js');
  assert.equal(await answerOf(server), expected);
  console.log(`Next.js: standalone (${Math.round(performance.now() - begin)} ms)`);
}

/** The files that @vercel/nft traces, in another folder: with the platform's package, and with an addon compiled in its place. */
async function checkTracer() {
  const begin = performance.now();
  const { nodeFileTrace } = require('next/dist/compiled/@vercel/nft');
  const modules = path.join(app, 'node_modules');
  const name = `${process.platform}-${process.arch}`;
  const prebuilt = path.join(modules, `@warpdice/${name}/prebuilds/${name}/warpdice.node`);
  const compiled = path.join(modules, 'warpdice/build/Release/warpdice.node');
  for (const [to, from] of [[prebuilt, compiled], [compiled, prebuilt]]) {
    if (!existsSync(to)) {
      mkdirSync(path.dirname(to), { recursive: true });
      renameSync(from, to);
    }
    const { fileList } = await nodeFileTrace([program], { base: app });
    const traced = path.join(elsewhere, 'traced');
    rmSync(traced, { recursive: true, force: true });
    for (const file of fileList) cpSync(path.join(app, file), path.join(traced, file), { recursive: true });
    prints(path.join(traced, 'program.mjs'));
  }
  mkdirSync(path.dirname(prebuilt), { recursive: true });
  renameSync(compiled, prebuilt);
  console.log(`@vercel/nft: the platform's package, and a compiled addon (${Math.round(performance.now() - begin)} ms)`);
}

/** A port that nothing listens on. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** What the server answers for /loss. */
async function answerOf(server) {
  const port = await freePort();
  const env = { ...process.env, PORT: String(port), HOSTNAME: '127.0.0.1' };
  const child = spawn(process.execPath, [server], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    let said = '';
    for await (const text of child.stdout.setEncoding('utf8')) {
      said += text;
      if (!said.includes('Ready')) continue;
      return await (await fetch(`http://127.0.0.1:${port}/loss`)).text();
    }
    return said;
  } finally {
    child.kill();
  }
}

await checkTracer();
await checkNext();
