// Plain cross-entropy, for the comparison: called like the losses of warpdice.
import type { TensorLike, ValueAndGradOptions } from 'warpdice';
import { Tensor } from 'warpdice';

/**
 * L = -1/(N S) sum over n, s of log softmax(logits)[n, label[n, s], s], and dL/dlogits.
 * logits float32 [N, C, ...spatial], labels uint8 [N, ...spatial], S pixels in a sample.
 */
export class CrossEntropy {
  valueAndGrad(logits: TensorLike, labels: TensorLike, { out }: ValueAndGradOptions = {}) {
    const [samples, classes] = logits.shape;
    const count = labels.data.length;
    const pixels = count / samples;
    const z = logits.data as Float32Array;
    const label = labels.data as Uint8Array;
    const grad = (out?.grad?.data ?? new Float32Array(z.length)) as Float32Array;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const first = Math.floor(i / pixels) * classes * pixels + (i % pixels);
      const end = first + classes * pixels;
      let largest = -Infinity;
      for (let k = first; k < end; k += pixels) largest = Math.max(largest, z[k]);
      let total = 0;
      for (let k = first; k < end; k += pixels) total += Math.exp(z[k] - largest);
      for (let k = first; k < end; k += pixels) grad[k] = Math.exp(z[k] - largest) / total / count;
      const truth = first + label[i] * pixels;
      grad[truth] -= 1 / count;
      sum += largest + Math.log(total) - z[truth];
    }
    const value = (out?.value?.data ?? new Float64Array(1)) as Float64Array;
    value[0] = sum / count;
    return {
      value: Tensor.from(value, []),
      perClass: Tensor.from(new Float64Array(samples * classes), [samples, classes]), // not split
      grad: Tensor.from(grad, logits.shape),
    };
  }
}
