// PyTorch, nn.CrossEntropyLoss of class indices with reduction "mean", written out in float64 from its documented formula. Logits
// [N][C][S], labels [N][S]. Not run.
import type { Nested } from './nested.js';

export interface CrossEntropy {
  weight?: number[];
  ignore_index?: number;
  label_smoothing?: number;
}

export function crossEntropyLoss(input: Nested, target: number[][], o: CrossEntropy): number {
  const { label_smoothing: eps = 0 } = o;
  const w = (c: number) => o.weight?.[c] ?? 1;
  let [nll, smooth, weights] = [0, 0, 0];
  input.forEach((sample, n) => {
    target[n]?.forEach((y, s) => {
      if (y === o.ignore_index) return;
      const logits = sample.map((row) => row[s] as number);
      const logsumexp = Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0));
      const logp = logits.map((z) => z - logsumexp);
      nll -= w(y) * (logp[y] as number);
      smooth -= logp.reduce((sum, l, c) => sum + w(c) * l, 0);
      weights += w(y);
    });
  });
  return ((1 - eps) * nll + (eps / (input[0] as number[][]).length) * smooth) / weights;
}
