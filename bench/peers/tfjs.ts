// TensorFlow.js: the loss composed from its operations, the gradient by its autograd. Its wasm backend has SIMD and, in Node, one
// thread. The logits lie channels last, TensorFlow's own layout: there it is faster than on channels first.
import { createRequire } from 'node:module';
import path from 'node:path';
import { root } from '../measure/machine.js';
import { firstLine, lacksMemory, type OpenPeers, skip } from './peer.js';

type Tensorflow = typeof import('@tensorflow/tfjs-core');
type TfTensor = import('@tensorflow/tfjs-core').Tensor;

// p, one-hot target, their products, and what autograd keeps and makes of each.
const tensorsHeld = 16;

/** name: the backend. */
export const openTfjs =
  (name: 'cpu' | 'wasm'): OpenPeers =>
  async (problem, activation) => {
    const tooLarge = lacksMemory(problem, tensorsHeld);
    if (tooLarge) return skip(tooLarge);
    let tf: Tensorflow;
    try {
      tf = await load(name);
    } catch (error) {
      return skip(`@tensorflow/tfjs-backend-${name} is not there: ${firstLine(error)}`);
    }
    const { N, C, S } = problem;
    const size = [N, C, S] as const;
    const logits = tf.tensor(transpose(problem.logits.data as Float32Array, size), [N, S, C]);
    const labels = tf.tensor(Int32Array.from(problem.target.data as Uint8Array), [N, S], 'int32');
    const step = tf.valueAndGrad((z) => dice(tf, z, labels, C, activation));
    const peer = {
      name: `TensorFlow.js, ${name}`,
      detail: `tfjs ${tf.version_core}, threads: 1`,
      loss: 'Dice' as const,
      result: async () => {
        const { value, grad } = step(logits);
        const result = {
          value: value.dataSync()[0],
          grad: transpose(grad.dataSync() as Float32Array, [N, S, C]),
        };
        tf.dispose([value, grad]);
        return result;
      },
      time: async (calls: number) => {
        const start = performance.now();
        for (let i = 0; i < calls; i++) {
          const { value, grad } = step(logits);
          value.dataSync();
          tf.dispose([value, grad]);
        }
        return performance.now() - start;
      },
    };
    return { peers: [peer], close: () => tf.dispose([logits, labels]) };
  };

/** Mean over (n,c) of 1 - 2I/D; z is [N, S, C]. */
function dice(
  tf: Tensorflow,
  z: TfTensor,
  labels: TfTensor,
  C: number,
  activation: 'sigmoid' | 'softmax',
): import('@tensorflow/tfjs-core').Scalar {
  const p = activation === 'softmax' ? tf.softmax(z) : tf.sigmoid(z);
  const t = C === 1 ? tf.cast(tf.reshape(labels, z.shape), 'float32') : tf.oneHot(labels, C);
  const [N = 1, S = 1] = z.shape;
  // In two steps: its sums add float32 numbers one by one, and would lose four digits on a large volume.
  const piece = largestPowerOfTwo(S, 1024);
  const sum = (x: TfTensor) => tf.sum(tf.sum(tf.reshape(x, [N, S / piece, piece, C]), 2), 1);
  const intersection = sum(tf.mul(p, t));
  const denominator = tf.add(tf.add(sum(tf.square(p)), sum(t)), 1e-7);
  return tf.mean(tf.sub(1, tf.div(tf.mul(intersection, 2), denominator)));
}

/** That divides S and is at most `most`. */
function largestPowerOfTwo(S: number, most: number): number {
  let power = 1;
  while (S % (2 * power) === 0 && 2 * power <= most) power *= 2;
  return power;
}

async function load(name: string): Promise<Tensorflow> {
  const require = createRequire(path.join(root, 'bench', 'peers', 'package.json'));
  const tf: Tensorflow = require('@tensorflow/tfjs-core');
  tf.enableProdMode();
  require(`@tensorflow/tfjs-backend-${name}`);
  require('@tensorflow/tfjs-layers'); // registers the gradients of the operations
  if (!(await tf.setBackend(name))) throw new Error('it does not start');
  return tf;
}

/** [N, A, B] to [N, B, A]. */
function transpose(x: Float32Array, [N, A, B]: readonly [number, number, number]): Float32Array {
  const result = new Float32Array(x.length);
  for (let n = 0; n < N; n++) {
    for (let a = 0; a < A; a++) {
      for (let b = 0; b < B; b++) result[(n * B + b) * A + a] = x[(n * A + a) * B + b];
    }
  }
  return result;
}
