// Hard metrics: the predicted class of a pixel is the one with the largest logit, and pixels are
// counted over all slices together. No smoothing, nothing shared with the losses.

/** counts[truth * classes + prediction], for any number of slices. */
export class Confusion {
  readonly classes: number;
  readonly counts: number[];

  constructor(classes: number) {
    this.classes = classes;
    this.counts = Array(classes * classes).fill(0);
  }

  add(prediction: Uint8Array, truth: Uint8Array): this {
    for (let i = 0; i < truth.length; i++) {
      this.counts[truth[i] * this.classes + prediction[i]]++;
    }
    return this;
  }

  /** 2 TP / (2 TP + FP + FN); 1 when the class is neither there nor predicted. */
  dice(c: number): number {
    const { hits, misses } = this.#count(c);
    return hits + misses === 0 ? 1 : (2 * hits) / (2 * hits + misses);
  }

  /** TP / (TP + FP + FN), the intersection over the union. */
  iou(c: number): number {
    const { hits, misses } = this.#count(c);
    return hits + misses === 0 ? 1 : hits / (hits + misses);
  }

  #count(c: number) {
    let misses = 0;
    for (let other = 0; other < this.classes; other++) {
      if (other === c) continue;
      misses += this.counts[c * this.classes + other] + this.counts[other * this.classes + c];
    }
    return { hits: this.counts[c * this.classes + c], misses };
  }
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
