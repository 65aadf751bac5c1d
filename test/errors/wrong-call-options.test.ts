// Every wrong option of a call, and tensors that are disposed: errors as in test/errors/wrong-arguments.test.ts.
import { describe, expect, test } from '@jest/globals';
import {
  DiceCELoss,
  DiceLoss,
  GeneralizedWassersteinDiceLoss,
  SegmentationMetrics,
  setThreads,
  Tensor,
  WarpDiceError,
} from '../../lib/index.js';
import {
  type Any,
  C,
  code,
  expected,
  like,
  loss,
  N,
  refuse,
  shape,
  x,
  y,
} from '../support/errors.js';
import { full, type Typed, tensor } from '../support/tensors.js';

describe('options of a call', () => {
  const none = new DiceLoss({ reduction: 'none' });
  const noneOut = { value: full([N, C], 7, 'float64') };
  const half = tensor(new Float64Array(120), shape, 'float16');
  const cases: [string, Any, Any, Any, RegExp, Any?][] = [
    [
      'an unknown key',
      x,
      { weights: like('float32', [2, 4, 5]) },
      TypeError,
      /^Unknown option 'weights': did you mean weight\?$/,
    ],
    [
      'an unknown output',
      x,
      { out: { gradient: like('float32', shape) } },
      TypeError,
      /^Unknown key 'gradient' of out: did you mean grad\?$/,
    ],
    ['gradScale of another type', x, { gradScale: '2' }, TypeError, /gradScale.*'2'/],
    ['gradScale NaN', x, { gradScale: NaN }, RangeError, /^Expected a finite .*gradScale.*NaN/],
    ['gradScale', x, { gradScale: Infinity }, RangeError, /^Expected a finite .*gradScale.*Inf/],
    ['gradScale of two elements', x, { gradScale: full([2], 1) }, TypeError, /gradScale.*\[2\]/],
    [
      'gradScale of integers',
      x,
      { gradScale: full([], 1, 'int32') },
      TypeError,
      /gradScale.*int32/,
    ],
    ['gradDtype that is none', x, { gradDtype: 'half' }, TypeError, /gradDtype.*'half'/],
    [
      'gradDtype of float32 predictions',
      x,
      { gradDtype: 'float16' },
      TypeError,
      /'float32', as predictions are float32, for gradDtype.*'float16'/,
    ],
    [
      'gradDtype of float16 predictions',
      half,
      { gradDtype: 'bfloat16' },
      TypeError,
      /'float16' or 'float32'.*gradDtype.*'bfloat16'/,
    ],
    [
      'gradDtype and another out',
      half,
      { gradDtype: 'float16' },
      TypeError,
      /float16.*out\.grad.*float32/,
    ],
    ['accumulate of another type', x, { accumulate: 1 }, TypeError, /true or false.*accumulate.*1/],
    [
      'accumulate without out',
      x,
      { accumulate: true, out: { grad: undefined } },
      TypeError,
      /^accumulate: true needs out\.grad/,
    ],
    [
      'upstream with mean',
      x,
      { upstream: full([N, C], 1, 'float64') },
      TypeError,
      /^upstream cannot be combined with reduction 'mean'/,
    ],
    [
      'no upstream with none',
      x,
      { out: noneOut },
      TypeError,
      /^reduction 'none' needs upstream, dL\/dvalue of shape \[2, 3\]/,
      none,
    ],
    [
      'upstream of another shape',
      x,
      { out: noneOut, upstream: full([C], 1, 'float64') },
      RangeError,
      /\[2, 3\].*upstream.*\[3\]/,
      none,
    ],
    [
      'upstream of another dtype',
      x,
      { out: noneOut, upstream: full([N, C], 1, 'int32') },
      TypeError,
      /float64 or float32.*upstream.*int32/,
      none,
    ],
    [
      'out.value of another shape',
      x,
      { out: { value: full([1], 7, 'float64') } },
      RangeError,
      /\[\].*out\.value.*\[1\]/,
    ],
    [
      'out.value of another dtype',
      x,
      { out: { value: full([], 7, 'float32') } },
      TypeError,
      /float64.*out\.value.*float32/,
    ],
    [
      'out.perClass of another shape',
      x,
      { out: { perClass: full([C], 7, 'float64') } },
      RangeError,
      /\[2, 3\].*out\.perClass.*\[3\]/,
    ],
    [
      'out.perClass of another dtype',
      x,
      { out: { perClass: full([N, C], 7, 'float32') } },
      TypeError,
      /float64.*out\.perClass.*float32/,
    ],
    [
      'out.grad of another shape',
      x,
      { out: { grad: full([N, C, 20], 7) } },
      RangeError,
      /\[2, 3, 4, 5\].*out\.grad.*\[2, 3, 20\]/,
    ],
    [
      'out.grad of another dtype',
      x,
      { out: { grad: full(shape, 7, 'float64') } },
      TypeError,
      /float32.*out\.grad.*float64/,
    ],
    ['out.grad that is none', x, { out: { grad: 7 } }, TypeError, /out\.grad.*7/],
  ];
  test.each(cases)('%s', (_, predictions, options, type, message, instance = loss) =>
    refuse(predictions, y, options, type, message, instance),
  );

  test('options that are none', async () => {
    for (const options of [null, 3, 'out', []] as Any[]) {
      expect(() => loss.value(x, y, options)).toThrow(TypeError);
      expect(() => loss.valueAndGrad(x, y, options)).toThrow(/^Expected an object for options/);
      expect(() => loss.valueAndGradAsync(x, y, options)).toThrow(TypeError);
    }
  });

  test('value and statistics take no options of the gradient', () => {
    for (const options of [
      { gradScale: 2 },
      { accumulate: true },
      { upstream: full([2, 3], 1) },
    ] as Any[]) {
      expect(() => loss.value(x, y, options)).toThrow(TypeError);
      expect(() => loss.statistics(x, y, options)).toThrow(TypeError);
    }
    expect(() => loss.value(x, y, { out: { grad: full(shape, 0) } } as Any)).toThrow(/'grad'/);
  });
});

describe('disposed tensors', () => {
  const disposed = (like: Typed) => {
    const handle = Tensor.from(like.data, like.shape, { dtype: like.dtype });
    handle.dispose();
    return handle;
  };
  const gone = code('ERR_DISPOSED');
  const weight = like('float32', [2, 4, 5]);

  test.each([
    ['predictions', disposed(x), y, {}],
    ['target', x, disposed(y), {}],
    ['weight', x, y, { weight: disposed(weight) }],
    ['gradScale', x, y, { gradScale: disposed(full([], 2)) }],
    ['out.grad', x, y, { out: { grad: disposed(full(shape, 7)) } }],
    ['out.value', x, y, { out: { value: disposed(full([], 7, 'float64')) } }],
  ] as [string, Any, Any, Any][])('%s', async (name, predictions, target, options) => {
    const call = () => loss.valueAndGrad(predictions, target, options);
    expect(call).toThrow(WarpDiceError);
    expect(call).toThrow(gone);
    expect(call).toThrow(`for ${name} but received a disposed one`);
    expect(() => loss.valueAndGradAsync(predictions, target, options)).toThrow(gone);
    expect(loss.value(x, y).value.itemSync()).toBe(expected.value.itemSync());
  });
});

test('threads', () => {
  for (const count of [0, -1, 1.5, NaN, 257, '2', undefined] as Any[]) {
    expect(() => setThreads(count)).toThrow(
      /^Expected an integer( from 1 to 256)? for count but received /,
    );
  }
});

test('a loss is made with new', () => {
  expect(() => (DiceLoss as Any)()).toThrow(/new/);
});

// Options that exclude or need each other: "A cannot be combined with B", "A needs B", always a TypeError.
describe('combinations', () => {
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
});
