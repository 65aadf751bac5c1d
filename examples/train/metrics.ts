// Hard metrics: the predicted class of a pixel is the one with the largest logit, and pixels are
// counted over all slices together. No smoothing.
import { SegmentationMetrics } from 'warpdice';
import { classNames } from './model.js';

/** The scores of predicted classes. Means are over grey and white matter only. */
export function count(prediction: Uint8Array, truth: Uint8Array): SegmentationMetrics {
  const shape = [truth.length];
  return new SegmentationMetrics({
    classes: classNames.length,
    decision: 'labels',
    background: false,
  }).update({ data: prediction, shape }, { data: truth, shape });
}

/** Logits [N, C, ...] to the class with the largest one, [N, ...]; `pixels` is the product of `...`. */
export function argmax(logits: ArrayLike<number>, classes: number, pixels: number): Uint8Array {
  const result = new Uint8Array(logits.length / classes);
  for (let i = 0; i < result.length; i++) {
    const start = Math.floor(i / pixels) * classes * pixels + (i % pixels);
    let best = 0;
    for (let c = 1; c < classes; c++) {
      if (logits[start + c * pixels] > logits[start + best * pixels]) best = c;
    }
    result[i] = best;
  }
  return result;
}
