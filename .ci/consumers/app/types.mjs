// Compiles programs against the published declarations, which need nothing but lib.es2022: no @types/node, no lib.esnext.disposable,
// and no skipLibCheck. Where those are there, they do not conflict.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const require = createRequire(import.meta.url);
const program = `import { DiceLoss, type Plan, SegmentationMetrics, Statistics, Tensor } from 'warpdice';
import { connect, type World } from 'warpdice/mpi';
import { type Communicator, connect as connectGpus } from 'warpdice/nccl';
import { tfLoss } from 'warpdice/tfjs';
const logits = Tensor.from(Float32Array.of(2, 1), [1, 1, 2]);
const labels = Tensor.from(Uint8Array.of(0, 1), [1, 2]);
const plan: Plan = new DiceLoss({ activation: 'sigmoid' }).plan(logits, labels);
export const value: number = plan.value.itemSync();
export const world: Promise<World> = connect({ timeout: 1000 });
export const gpus = (from: World): Promise<Communicator> => connectGpus({ world: from });
export { SegmentationMetrics, Statistics, tfLoss };
`;
const alone = { lib: ['es2022'], types: [] };
const withNode = { lib: ['es2023', 'esnext.disposable'], types: ['node'] };
const nodenext = { module: 'nodenext', moduleResolution: 'nodenext' };
const node16 = { module: 'node16', moduleResolution: 'node16' };
const bundler = { module: 'esnext', moduleResolution: 'bundler' };
const node10 = { module: 'commonjs', moduleResolution: 'node10' };

let failed = 0;
/** `text` in a file with that extension, compiled by a version of TypeScript. */
function compile(version, extension, options, text = program) {
  const file = path.join(import.meta.dirname, `program${extension}`);
  const config = path.join(import.meta.dirname, 'tsconfig.json');
  const compilerOptions = { noEmit: true, strict: true, target: 'es2022', skipLibCheck: false, ...options };
  writeFileSync(file, text);
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
  const tsc = require.resolve(`typescript-${version}/package.json`).replace('package.json', 'bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', config], { encoding: 'utf8' });
  if (status === 0) return;
  failed++;
  console.log(`TypeScript ${version}, ${extension}, ${JSON.stringify(options)}:\n${stdout}`);
}

const begin = performance.now();
for (const version of ['5.4', '7.0']) {
  for (const resolution of [bundler, nodenext, node16]) {
    compile(version, '.mts', { ...alone, ...resolution });
  }
  compile(version, '.mts', { ...withNode, ...nodenext }, `${program}using held = plan;\nvoid held;\n`);
}
for (const version of ['5.9', '6.0']) compile(version, '.mts', { ...alone, ...nodenext });
compile('5.9', '.cts', { ...alone, ...nodenext }); // what docs/using-it-in.md tells users of CommonJS
compile('5.9', '.ts', { ...alone, ...node10 });
console.log(`TypeScript 5.4 to 7: ${failed} of 12 failed (${Math.round(performance.now() - begin)} ms)`);
process.exitCode = failed > 0 ? 1 : 0;
