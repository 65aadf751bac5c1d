// Classes with no target voxel: what each policy of `absent` makes of them.
import { describe, expect, test } from '@jest/globals';
import {
  DiceLoss,
  GeneralizedDiceLoss,
  type MetricsAbsent,
  type ScoreName,
  SegmentationMetrics,
} from '../../lib/index.js';
import { inOneForm } from '../support/errors.js';
import { full, tensor } from '../support/tensors.js';

describe('a class with no target voxel', () => {
  const p = tensor([0, 0, 1, 0], [1, 4], 'uint8'); // class 1 is predicted, class 2 is not; both are absent
  const t = full([1, 4], 0, 'uint8');
  const score = (absent: MetricsAbsent, name: ScoreName) => {
    const metrics = new SegmentationMetrics({ classes: 3, decision: 'labels', absent });
    metrics.update(p, t);
    return [...metrics.perClass(name), metrics.average(name)];
  };
  const { NaN: none } = Number;

  test('and a class whose index is ignored is such a class', () => {
    const target = tensor([0, 0, 1, 1], [1, 4], 'uint8');
    const of = (options: { absent?: MetricsAbsent; background?: boolean }) =>
      new SegmentationMetrics({ classes: 2, decision: 'labels', ignoreIndex: 0, ...options })
        .update(p, target) // p is 0, 0, 1, 0
        .average('dice');
    const own = 2 / 3;
    expect(of({})).toBeCloseTo(own, 12);
    expect(of({ absent: 'skip' })).toBeCloseTo(own, 12);
    expect(of({ absent: 'worst' })).toBeCloseTo(own / 2, 12);
    expect(of({ absent: 'worst', background: false })).toBeCloseTo(own, 12);
  });

  test.each(['dice', 'iou', 'precision', 'recall', 'volumeSimilarity'] as const)('%s', (name) => {
    const [own] = score('skip', name) as [number];
    expect(own).toBeGreaterThan(0);
    expect(score('skip', name)).toEqual([own, none, none, own]);
    expect(score('perfect', name)).toEqual([own, 1, 1, (own + 2) / 3]);
    expect(score('worst', name)).toEqual([own, 0, 0, own / 3]);
    expect(score('formula', name)).toEqual([own, 0, 0, own / 3]);
    expect(score('agree', name)).toEqual([own, 0, 1, (own + 1) / 3]);
    expect(score('skip-agreed', name)).toEqual([own, 0, none, own / 2]);
  });

  test.each(['specificity', 'accuracy'] as const)('%s is what it is', (name) => {
    for (const absent of ['formula', 'skip', 'perfect', 'worst', 'agree', 'skip-agreed'] as const)
      expect(score(absent, name).slice(1, 3)).toEqual([0.75, 1]);
  });

  test('the default is to skip it, and nothing counted is NaN', () => {
    const metrics = new SegmentationMetrics({ classes: 3, decision: 'labels' });
    expect(metrics.average('dice')).toBeNaN();
    expect(metrics.average('dice', 'micro')).toBeNaN();
    expect(metrics.average('dice', 'weighted')).toBeNaN();
    metrics.update(p, t);
    expect([...metrics.perClass('iou')]).toEqual([0.75, none, none]);
  });
});

describe('as other libraries count them', () => {
  // For target 0 1 1 1: class 2 is a false alarm, class 3 is nowhere. IoU 1, 2/3, 0 and none.
  const update = (metrics: SegmentationMetrics) =>
    metrics.update(tensor([0, 1, 1, 2], [1, 4], 'uint8'), tensor([0, 1, 1, 1], [1, 4], 'uint8'));
  const iou = (absent: MetricsAbsent, classes = 4) =>
    update(new SegmentationMetrics({ classes, decision: 'labels', absent })).average('iou');

  test("'skip-agreed' is torchmetrics' and Keras' mean: a false alarm counts, a class that is nowhere does not", () => {
    expect(iou('skip-agreed')).toBeCloseTo((1 + 2 / 3 + 0) / 3, 14);
    expect(iou('skip-agreed', 3)).toBeCloseTo(0.5556, 4);
  });

  test("'agree' is that of smp, and of MONAI with ignore_empty=False: a class that is nowhere is right", () => {
    expect(iou('agree')).toBeCloseTo((1 + 2 / 3 + 0 + 1) / 4, 14);
  });

  test('sample by sample', () => {
    // Sample 0 has a false alarm in class 1, sample 1 has class 1 nowhere, sample 2 has it right.
    const p = tensor([0, 1, 0, 0, 1, 1], [3, 2], 'uint8');
    const t = tensor([0, 0, 0, 0, 1, 1], [3, 2], 'uint8');
    const by = (absent: MetricsAbsent) => {
      const options = { classes: 2, decision: 'labels', aggregate: 'samples', absent } as const;
      const metrics = new SegmentationMetrics(options).update(p, t);
      return SegmentationMetrics.fromJSON(JSON.parse(JSON.stringify(metrics)));
    };
    const { NaN: none } = Number;
    expect([...by('agree').perSample('dice')]).toEqual([2 / 3, 0, 1, 1, 1, 1]);
    expect([...by('agree').perClass('dice')]).toEqual([8 / 9, 2 / 3]);
    expect([...by('skip-agreed').perSample('dice')]).toEqual([2 / 3, 0, 1, none, none, 1]);
    expect([...by('skip-agreed').perClass('dice')]).toEqual([(2 / 3 + 1) / 2, 1 / 2]);
    expect(by('agree').merge(by('agree')).average('dice')).toBeCloseTo(7 / 9, 14);
    expect(by('skip-agreed').average('dice')).toBeCloseTo((2 / 3 + 0 + 1 + 1) / 4, 14);
  });
});

test.each(['agree', 'skip-agreed'])('a loss refuses %s, and says whose it is', (absent) => {
  for (const Loss of [DiceLoss, GeneralizedDiceLoss]) {
    const make = () => new Loss({ absent } as never);
    expect(make).toThrow(RangeError);
    expect(make).toThrow(
      `for absent but received '${absent}': it is for metrics, which know whether a class is predicted`,
    );
    expect(make).toThrow(inOneForm);
  }
});
