// Sizes are compared before anything is converted or copied: huge arguments are refused at once, and V8 does not run out of memory.
import { expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceLoss,
  GeneralizedWassersteinDiceLoss,
  SegmentationMetrics,
  Statistics,
  Tensor,
} from '../../lib/index.js';
import { full } from '../support/tensors.js';

const [x, y] = [full([1, 2, 2], 0.5), full([1, 2], 0, 'uint8')];
const json = new DiceLoss().statistics(x, y).toJSON();
/** As long as an array can be; it takes no memory. */
const endless = new Array<never>(2 ** 32 - 1);
/** Takes no memory either: nothing touches it. */
const zeros = new Float64Array(2 ** 28);
const options = { classes: 3, decision: 'labels' } as const;
const counts: number[] = new Array(16).fill(0);
/** Class weights, each of which is read: 20 s for the longest array. */
const longest = process.env.WARPDICE_TEST_ALL ? 2 ** 24 : 2 ** 18;

test.each<[string, () => unknown, RegExp]>([
  [
    'fromJSON',
    () => Statistics.fromJSON({ ...json, data: endless }),
    /16 sums for json .* 4294967295$/,
  ],
  [
    'fromJSON, many classes',
    () => Statistics.fromJSON({ ...json, shape: [1, 2 ** 40, 8], data: endless }),
    /8796093022208 sums for json .* 4294967295$/,
  ],
  [
    'fromJSON, a long signature',
    () => Statistics.fromJSON({ ...json, signature: 'x'.repeat(2 ** 28) }),
    /at most 1000 letters for json\.signature/,
  ],
  ['fromArray', () => Statistics.fromArray(zeros), /array: samples but received 0$/],
  [
    'metrics, fromJSON: counts',
    () => SegmentationMetrics.fromJSON({ options, samples: 1, counts: endless, perSample: [] }),
    /16 counts for state\.counts but received an array of 4294967295$/,
  ],
  [
    'metrics, fromJSON: perSample',
    () =>
      SegmentationMetrics.fromJSON({
        options: { ...options, aggregate: 'samples' },
        samples: 1,
        counts,
        perSample: endless,
      }),
    /12 counts for state\.perSample but received an array of 4294967295$/,
  ],
  [
    'metrics, toJSON',
    () => JSON.stringify(new SegmentationMetrics({ classes: 12_000, decision: 'labels' })),
    /at most 16777216 numbers for the counts in JSON but received 144024001: /,
  ],
  [
    'classWeights',
    () => new DiceLoss({ classWeights: endless }),
    /at most 16777216 numbers for classWeights/,
  ],
  [
    'classWeights of other classes',
    () => new DiceLoss({ classWeights: new Float64Array(longest) as never }).value(x, y),
    RegExp(`2 numbers, one per class, for classWeights but received a Float64Array of ${longest}:`),
  ],
  [
    'distances',
    () => new GeneralizedWassersteinDiceLoss({ distances: [endless, endless] }),
    /at most 16777216 numbers for distances\[0\]/,
  ],
  [
    'weights of scales',
    () => new DeepSupervision(new DiceLoss(), endless),
    /at most 16777216 numbers for weights/,
  ],
  [
    'a shape',
    () => Tensor.empty(endless),
    /at most 64 sizes for shape but received an array of 4294967295$/,
  ],
  ['a list', () => Statistics.concat(endless), /Statistics for list\[0\] but received undefined$/],
])('%s', (_, call, message) => {
  expect(call).toThrow(message);
  expect(call).toThrow(/^Expected .* but received /);
});

test('an unknown key of many letters', () => {
  const key = 'smooth'.repeat(2 ** 22);
  expect(() => new DiceLoss({ [key]: 1 } as object)).toThrow(
    /^Unknown option 'smooth.{74}\.\.\.': the options are/,
  );
});
