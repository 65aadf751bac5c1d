// jax-js: the loss composed from its operations, the gradient by its autograd, both compiled together by jit. Its wasm backend
// uses several threads where Web Workers exist; in Node it has one.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { numpy } from '@jax-js/jax';
import { root } from '../measure/machine.js';
import { firstLine, lacksMemory, type OpenPeers, skip } from './peer.js';

type Jax = typeof import('@jax-js/jax');

// jit fuses most of them.
const tensorsHeld = 8;

export const openJaxJs: OpenPeers = async (problem, activation) => {
  const tooLarge = lacksMemory(problem, tensorsHeld);
  if (tooLarge) return skip(tooLarge);
  let jax: Jax;
  try {
    jax = await import('@jax-js/jax');
    await jax.init('wasm');
    jax.defaultDevice('wasm');
  } catch (error) {
    return skip(`@jax-js/jax is not there: ${firstLine(error)}`);
  }
  const { N, C, S } = problem;
  const np = jax.numpy;
  const logits = np.array(problem.logits.data as Float32Array).reshape([N, C, S]);
  const labels = np.array(Int32Array.from(problem.target.data as Uint8Array)).reshape([N, 1, S]);
  const step = jax.jit(
    jax.valueAndGrad((z: numpy.Array, y: numpy.Array) => dice(jax, z, y, C, activation)),
  );
  const run = () => jax.blockUntilReady(step(logits.ref, labels.ref));
  const peer = {
    name: 'jax-js, wasm',
    detail: `jax-js ${version()}, jit, threads: 1`,
    loss: 'Dice' as const,
    result: async () => {
      const [value, grad] = await run();
      return { value: Number(value.js()), grad: (await grad.data()) as Float32Array };
    },
    time: async (calls: number) => {
      const start = performance.now();
      for (let i = 0; i < calls; i++) {
        for (const array of await run()) array.dispose();
      }
      return performance.now() - start;
    },
  };
  const close = () => {
    step.dispose();
    logits.dispose();
    labels.dispose();
  };
  return { peers: [peer], close };
};

/** Mean over (n,c) of 1 - 2I/D; z is [N, C, S], y [N, 1, S]. Each argument is used up; `.ref` keeps it for another use. */
function dice(
  { nn, numpy: np }: Jax,
  z: numpy.Array,
  y: numpy.Array,
  C: number,
  activation: 'sigmoid' | 'softmax',
): numpy.Array {
  const p = activation === 'softmax' ? nn.softmax(z, 1) : nn.sigmoid(z);
  const isTarget = C === 1 ? y : np.equal(y, np.arange(C).reshape([1, C, 1]));
  const t = isTarget.astype(np.float32);
  const intersection = np.sum(p.ref.mul(t.ref), 2);
  const denominator = np.sum(p.ref.mul(p), 2).add(np.sum(t, 2)).add(1e-7);
  return np.mean(np.array(1).sub(intersection.mul(2).div(denominator)));
}

function version(): string {
  const file = path.join(root, 'node_modules', '@jax-js', 'jax', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
