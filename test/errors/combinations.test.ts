// Options that exclude or need each other: "A cannot be combined with B", "A needs B", always a TypeError.
import { expect, test } from '@jest/globals';
import {
  DiceCELoss,
  DiceLoss,
  GeneralizedWassersteinDiceLoss,
  SegmentationMetrics,
  Tensor,
} from '../../lib/index.js';
import { C, N, x, y } from '../support/errors.js';
import { full } from '../support/tensors.js';

const softmax = { activation: 'softmax' } as const;
const loss = new DiceLoss(softmax);
const pooled = new DiceLoss({ ...softmax, batch: true });
const distances = [
  [0, 1, 1],
  [1, 0, 1],
  [1, 1, 0],
];

test.each<[string, () => unknown]>([
  [
    "crossEntropy cannot be combined with activation 'none': pass logits and use 'sigmoid' or 'softmax'",
    () => new DiceLoss({ crossEntropy: {} }),
  ],
  [
    "focal cannot be combined with activation 'none': pass logits and use 'sigmoid' or 'softmax'",
    () => new DiceLoss({ focal: {} }),
  ],
  [
    "focal cannot be combined with activation 'none': pass logits and use 'softmax'",
    () => new GeneralizedWassersteinDiceLoss({ distances, focal: {} }),
  ],
  ['overlapWeight needs crossEntropy or focal', () => new DiceLoss({ overlapWeight: 1 })],
  [
    "gamma cannot be combined with transform 'log-cosh'",
    () => new DiceLoss({ transform: 'log-cosh', gamma: 1 }),
  ],
  [
    "denominator 'squared' cannot be combined with overlap 'minimum': use 'linear'",
    () => new DiceLoss({ overlap: 'minimum', denominator: 'squared' }),
  ],
  [
    'sampleOffset cannot be combined with batch: true',
    () => pooled.gradient(x, y, pooled.statistics(x, y), { sampleOffset: 0 }),
  ],
  [
    'out.parts needs a compound loss (crossEntropy or focal)',
    () => loss.value(x, y, { out: { parts: full([3], 0, 'float64') } }),
  ],
  [
    "upstream cannot be combined with reduction 'mean': scale its gradient by gradScale",
    () => loss.valueAndGrad(x, y, { upstream: full([], 1) }),
  ],
  [
    "upstream cannot be combined with reduction 'sum': scale its gradient by gradScale",
    () => new DiceCELoss({ reduction: 'sum' }).valueAndGrad(x, y, { upstream: full([], 1) }),
  ],
  [
    `reduction 'none' needs upstream, dL/dvalue of shape [${N}, ${C}], for a gradient`,
    () => new DiceLoss({ reduction: 'none' }).valueAndGrad(x, y),
  ],
  [
    'accumulate: true needs out.grad, the gradient to add to',
    () => loss.valueAndGrad(x, y, { accumulate: true }),
  ],
  [
    'ignoreIndex needs class indices as target, without the class axis; it is dense, of shape [2, 3, 4, 5]',
    () => new DiceLoss({ ...softmax, ignoreIndex: 255 }).value(x, x),
  ],
  [
    "threshold cannot be combined with decision 'argmax': use decision 'threshold'",
    () => new SegmentationMetrics({ classes: 2, threshold: 0.5 }),
  ],
  [
    "threshold cannot be combined with decision 'labels': use decision 'threshold'",
    () => new SegmentationMetrics({ classes: 2, threshold: 0.5, decision: 'labels' }),
  ],
  [
    "perSample() needs aggregate 'samples'",
    () => new SegmentationMetrics({ classes: 2 }).perSample('dice'),
  ],
  [
    "confusion() cannot be combined with decision 'threshold': a voxel may be of several classes",
    () =>
      new SegmentationMetrics({ classes: 2, decision: 'threshold', threshold: 0.5 }).confusion(),
  ],
  [
    'exportable: true needs a GPU as device',
    () => Tensor.empty([1], 'float32', { exportable: true }),
  ],
])('%s', (message, call) => {
  expect(call).toThrow(TypeError);
  expect(call).toThrow(new Error(message));
});
