// The command warpdice-eval: scores by hand, labels and regions, folders, and every error with its exit status.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from '@jest/globals';
import { findCases } from '../../lib/eval/cases.js';
import { evaluate } from '../../lib/eval/evaluate.js';
import { parseOptions } from '../../lib/eval/options.js';
import { report, SegmentationMetrics, SurfaceMetrics } from '../../lib/index.js';
import { makeNifti, type NiftiFile } from '../support/nifti.js';
import { tensor } from '../support/tensors.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-eval-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a file and returns its path. */
function put(name: string, content: Partial<NiftiFile> | object, isJson = false): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  const bytes = isJson ? JSON.stringify(content) : makeNifti(content as NiftiFile);
  writeFileSync(file, name.endsWith('.gz') ? gzipSync(bytes) : bytes);
  return file;
}

// Two slices of 2 x 3 voxels: x fastest. Voxels are 1 x 2 x 3 mm.
const grid = { dims: [3, 2, 2], pixdim: [1, 1, 2, 3] };
const truth = put('truth.nii.gz', { ...grid, values: [1, 1, 0, 0, 0, 0, 4, 4, 0, 0, 0, 0] });
const prediction = put('prediction.nii', {
  ...grid,
  datatype: 16,
  little: false,
  values: [1, 0, 0, 0, 0, 0, 4, 4, 4, 1, 0, 0],
});

async function run(...args: string[]) {
  const progress: string[] = [];
  const options = parseOptions(args);
  const cases = findCases(options.truth, options.prediction);
  const made = await evaluate(cases, options, (done, total, name) => {
    progress.push(`${done}/${total} ${name}`);
  });
  return { made, progress, json: made.toJSON() };
}

const scores = 'dice,hausdorff,averageSymmetricDistance';

describe('two files', () => {
  test('by hand', async () => {
    const { json, progress } = await run(truth, prediction, '--scores', scores);
    // Label 1: TP 1, FP 1, FN 1. Its false voxel is one slice (3 mm) behind and one row (2 mm) below. Label 4: TP 2, FP 1.
    const far = Math.sqrt(2 ** 2 + 3 ** 2);
    expect(json.perSample).toEqual([
      {
        sample: 'truth',
        class: '1',
        dice: 1 / 2,
        hausdorff: far,
        averageSymmetricDistance: (far + 1) / 4,
      },
      { sample: 'truth', class: '4', dice: 4 / 5, hausdorff: 1, averageSymmetricDistance: 1 / 5 },
    ]);
    expect(progress).toEqual(['0/2 truth', '1/2 truth']);
  });

  test('components', async () => {
    const { json } = await run(truth, prediction, '--scores', 'lesionF1,lesionDice');
    // One component of each label is matched by one; that of label 1 has a corner in the other slice.
    expect(json.perSample).toEqual([
      { sample: 'truth', class: '1', lesionF1: 1, lesionDice: 1 / 2 },
      { sample: 'truth', class: '4', lesionF1: 1, lesionDice: 4 / 5 },
    ]);
  });

  test('names, the background, a tolerance', async () => {
    const labels = put('labels.json', { background: 0, edema: 1, tumour: 4 }, true);
    const { json } = await run(
      truth,
      prediction,
      '--labels',
      labels,
      '--background',
      '--tolerance',
      '1',
    );
    expect(json.classes).toEqual(['background', 'edema', 'tumour']);
    expect(json.scores).toContain('surfaceDice');
    expect(json.perClass[2]).toMatchObject({ surfaceDice: { mean: 1 } });
  });

  test.each<[string, object]>([
    ['an array', ['', 'edema', 'x', 'y', 'tumour']],
    ['label and name', { 0: 'background', 1: 'edema', 4: 'tumour' }],
    [
      'nnU-Net',
      { labels: { background: 0, edema: 1, tumour: 4, ignore: 5 }, file_ending: '.nii.gz' },
    ],
  ])('labels as %s', async (_, labels) => {
    const given = Array.isArray(labels) ? labels.map((name, i) => name || `b${i}`) : labels;
    const { json } = await run(
      truth,
      prediction,
      '--scores',
      'dice',
      '--labels',
      put('l.json', given, true),
    );
    expect(json.perSample.find((one) => one.class === 'tumour')?.dice).toBe(4 / 5);
  });

  test('labels in a file that begins with a byte order mark', () => {
    const file = path.join(folder, 'bom.json');
    writeFileSync(file, '\uFEFF["background", "liver"]');
    expect(parseOptions(['a', 'b', '--labels', file]).wanted.labels?.get(1)).toBe('liver');
  });

  test('regions, of a file of their own and of nnU-Net', async () => {
    const regions = { whole: [1, 4], core: [4] };
    const expected = [
      { sample: 'truth', class: 'whole', dice: 6 / 9 },
      { sample: 'truth', class: 'core', dice: 4 / 5 },
    ];
    const own = await run(
      truth,
      prediction,
      '--scores',
      'dice',
      '--regions',
      put('r.json', regions, true),
    );
    expect(own.json.perSample).toEqual(expected);
    expect(own.progress).toHaveLength(1);
    const dataset = put('d.json', { labels: { background: 0, ...regions, core: 4 } }, true);
    const nnunet = await run(truth, prediction, '--scores', 'dice', '--labels', dataset);
    expect(nnunet.json.perSample).toEqual(expected);
  });

  test('an ignored label, of the truth alone', async () => {
    const values = [1, 9, 0, 0, 0, 0, 4, 4, 9, 9, 0, 0];
    const ignoring = put('ignoring.nii', { ...grid, values });
    const { json } = await run(ignoring, prediction, '--ignore', '9');
    expect(json.mean).toMatchObject({ dice: 1 });
    const several = { ...grid, values: values.map((v, i) => (v === 9 && i > 3 ? 8 : v)) };
    const two = put('two.nii', several);
    expect((await run(two, prediction, '--ignore', '8,9')).json.mean).toEqual(json.mean);
    await expect(run(prediction, ignoring, '--ignore', '9')).rejects.toThrow(
      `Expected labels among 0, 1, 4 for ${ignoring} but received 9: name all labels with --labels`,
    );
  });

  test('labels are numbers of the file times slope plus intercept', async () => {
    const values = [0, 0, -1, -1, -1, -1, 3, 3, -1, -1, -1, -1];
    const scaled = put('scaled.nii', { ...grid, datatype: 4, intercept: 1, slope: 1, values });
    expect((await run(truth, scaled)).json.mean).toMatchObject({ dice: 1, iou: 1 });
  });

  test('labels that were scaled and rounded', async () => {
    // As nibabel stores floats in a file of int16: the range of labels from 0 to 4 is that of the type.
    const [slope, intercept] = [4 / 65535, 4 * (32768 / 65535)];
    const labels = [1, 1, 0, 0, 0, 0, 4, 4, 0, 0, 0, 0];
    const values = labels.map((label) => Math.round((label - intercept) / slope));
    const scaled = put('rounded-labels.nii', { ...grid, datatype: 4, slope, intercept, values });
    expect((await run(truth, scaled)).json.mean).toMatchObject({ dice: 1, iou: 1 });
    const bytes = labels.map((label) => Math.round(label / (4 / 255)));
    const coarse = put('coarse.nii', { ...grid, slope: 4 / 255, values: bytes }); // 1 comes back as 1.004
    expect((await run(truth, coarse)).json.mean).toMatchObject({ dice: 1, iou: 1 });
    for (const slope of [0.49, 1.5, 0.94]) {
      const wrong = put('no-labels.nii', { ...grid, datatype: 4, slope, values: labels });
      await expect(run(truth, wrong)).rejects.toThrow('Expected labels from 0 to 65534 for');
    }
  });

  test('a slice is 2D', async () => {
    const flat = { pixdim: [1, 1, 2, 3], values: [0, 1, 1, 0, 0, 0] };
    const slice = put('slice.nii', { ...flat, dims: [3, 2, 1] });
    const image = put('image.nii', { ...flat, dims: [3, 2, 1], values: [0, 1, 0, 0, 0, 1] });
    const { json } = await run(slice, image, '--scores', 'hausdorff');
    expect(json.mean).toEqual({ hausdorff: 2 }); // a row is 2 mm
    // Along any axis. Of the 16 voxels of a square's outline 8 are 1 mm from the other's; in a volume all 25 would be surface.
    for (const [axis, size] of [
      [0, 3],
      [1, 2],
      [2, 1],
    ] as const) {
      const dims = [7, 7].toSpliced(axis, 0, 1);
      const pixdim = [1, 1, 1].toSpliced(axis + 1, 0, size);
      const square = (from: number) =>
        Array.from({ length: 49 }, (_, i) => {
          const [x, y] = [i % 7, Math.floor(i / 7)];
          return x >= from && x < from + 5 && y >= 1 && y < 6 ? 1 : 0;
        });
      const files = [0, 1].map((from) =>
        put(`square${from}.nii`, { dims, pixdim, values: square(from) }),
      ) as [string, string];
      const of = await run(...files, '--scores', 'averageSymmetricDistance');
      expect(of.json.mean).toEqual({ averageSymmetricDistance: 8 / 16 });
    }
  });

  test('a missed label, a false alarm, one that is nowhere', async () => {
    const t = put('t.nii', { ...grid, values: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] });
    const p = put('p.nii', { ...grid, values: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0] });
    const labels = put('three.json', ['background', 'a', 'b', 'c'], true);
    const of = async (...more: string[]) => {
      const { json } = await run(t, p, '--labels', labels, '--scores', 'dice,hausdorff', ...more);
      return json.perSample.map((one) => [one.dice, one.hausdorff]);
    };
    expect(await of()).toEqual([
      [0, 'Infinity'],
      [0, 'Infinity'],
      [null, null],
    ]);
    expect(await of('--absent', 'agree', '--worst-distance', '374')).toEqual([
      [0, 374],
      [0, 374],
      [1, 0],
    ]);
  });
});

test('an image in place of a label map', async () => {
  const values = Array.from({ length: 1100 }, (_, i) => i);
  const image = put('image-not-labels.nii', { dims: [11, 100], datatype: 4, values });
  await expect(run(image, image)).rejects.toThrow(
    'Expected label maps but received files with 1100 different numbers, as images have: name the labels with --labels',
  );
  const names = put('many.json', values.map(String), true);
  const { json } = await run(image, image, '--scores', 'dice', '--labels', names);
  expect(json.mean).toEqual({ dice: 1 });
});

describe('two folders', () => {
  const names = ['a', 'b', 'c'];
  names.forEach((name, i) => {
    const values = [1, 1, 0, 0, i, 0, 2, 2, 0, 0, 0, 0];
    put(`truths/${name}.nii.gz`, { ...grid, values });
    put(`predictions/${name}.nii`, { ...grid, values: values.toReversed() });
  });
  writeFileSync(path.join(folder, 'predictions/plans.json'), '{}');
  const [truths, predictions] = ['truths', 'predictions'].map((name) =>
    path.join(folder, name),
  ) as [string, string];

  test('the report of the metrics', async () => {
    const { made, progress } = await run(truths, predictions);
    const shared = {
      classes: 3,
      decision: 'labels',
      background: false,
      absent: 'skip-agreed',
    } as const;
    const overlap = new SegmentationMetrics({ ...shared, aggregate: 'samples' });
    const surfaces = new SurfaceMetrics(shared);
    names.forEach((sample, i) => {
      const values = [1, 1, 0, 0, i, 0, 2, 2, 0, 0, 0, 0];
      const [t, p] = [values, values.toReversed()].map((map) => tensor(map, [1, 2, 2, 3], 'uint8'));
      overlap.update(p as never, t as never, { sample });
      surfaces.update(p as never, t as never, { sample, spacing: [3, 2, 1] });
    });
    expect(made.toCsv()).toBe(report([overlap, surfaces]).toCsv());
    expect(progress.slice(0, 4)).toEqual(['0/6 a', '1/6 b', '2/6 c', '3/6 a']);
  });

  test('files that are missing', async () => {
    const more = path.join(folder, 'more');
    put('more/a.nii', { ...grid, values: Array(12).fill(0) });
    await expect(run(truths, more)).rejects.toThrow(`Expected a prediction of b, c in ${more}`);
    await expect(run(more, truths)).rejects.toThrow(`Expected a truth of b, c in ${more}`);
    await expect(run(truths, truth)).rejects.toThrow('Expected two files or two folders');
    mkdirSync(path.join(folder, 'empty'));
    await expect(run(path.join(folder, 'empty'), more)).rejects.toThrow('Expected NIfTI files in');
    put('more/a.nii.gz', { ...grid, values: Array(12).fill(0) });
    await expect(run(more, more)).rejects.toThrow('Expected one file of a in');
    const nowhere = path.join(folder, 'nowhere');
    await expect(run(truths, nowhere)).rejects.toThrow(
      `Expected a file or a folder that exists but received ${nowhere}`,
    );
  });

  test('hidden files and capital letters', async () => {
    const values = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    put('upper/a.NII.GZ', { ...grid, values });
    writeFileSync(path.join(folder, 'upper/._a.nii.gz'), 'of macOS');
    put('lower/a.nii.gz', { ...grid, values });
    const [upper, lower] = ['upper', 'lower'].map((name) => path.join(folder, name)) as [
      string,
      string,
    ];
    expect((await run(upper, lower)).json.perSample).toMatchObject([{ sample: 'a', dice: 1 }]);
  });

  test('every problem is told', async () => {
    put('bad/a.nii', { dims: [3, 2, 1], values: Array(6).fill(0) });
    put('bad/b.nii', { ...grid, values: Array(12).fill(0.5), datatype: 16 });
    put('bad/c.nii', {
      ...grid,
      values: Array(12).fill(0),
      sform: [0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 3, 0],
    });
    const problems = await run(truths, path.join(folder, 'bad')).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(problems).toMatch(
      /^Expected 3 x 2 x 2 voxels, as .*a.nii.gz has, for .*a.nii but received 3 x 2 x 1$/m,
    );
    expect(problems).toMatch(/^Expected labels from 0 to 65534 for .*b.nii but received 0.5$/m);
    expect(problems).toMatch(
      /^Expected the orientation of .*c.nii.gz, \[1 0 0 0; 0 2 0 0; 0 0 3 0\], for .* but received \[0 2 0 0; 1 0 0 0; 0 0 3 0\]/m,
    );
    expect(problems.split('\n')).toHaveLength(3);
  });
});

describe('orientations', () => {
  const values = [1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0];
  const sform = (x: number) => [1, 0, 0, x, 0, 2, 0, 0, 0, 0, 3, 0];

  test('that are the same but for rounding, or written in another way', async () => {
    const plain = put('plain.nii', { ...grid, values, qform: [0, 0, 0, 5, 0, 0] });
    const rounded = put('rounded.nii', { ...grid, values, version: 2, sform: sform(5.004) });
    expect((await run(plain, rounded)).json.mean).toMatchObject({ dice: 1 });
    const moved = put('moved.nii', { ...grid, values, sform: sform(5.02) });
    await expect(run(plain, moved)).rejects.toThrow('the same voxels are up to 0.02');
  });

  test('of half a turn: a qform, whose float32 is rounded, and an sform', async () => {
    const large = { dims: [400, 400], values: Array(160_000).fill(1), pixdim: [1, 1, 1, 1] };
    const half = Math.SQRT1_2; // x and y change places, z turns round
    const one = put('qform.nii', { ...large, qform: [half, half, 0, 0, 0, 0] });
    const other = put('sform.nii', { ...large, sform: [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, -1, 0] });
    expect((await run(one, other, '--scores', 'dice')).json.mean).toEqual({ dice: 1 });
  });

  test('of axes that are not at right angles: no distances', async () => {
    const sheared = { ...grid, pixdim: [1, 1, 1, 1], values };
    const file = put('sheared.nii', {
      ...sheared,
      sform: [1, 0.6, 0, 0, 0, 0.8, 0, 0, 0, 0, 1, 0],
    });
    await expect(run(file, file)).rejects.toThrow(
      `Expected axes at right angles for ${file} but received 53.1 degrees between two of them`,
    );
    const only = async (scores: string) => (await run(file, file, '--scores', scores)).json.mean;
    expect(await only('dice')).toEqual({ dice: 1 });
    await expect(only('lesionDice')).rejects.toThrow('Expected axes at right angles');
    const turned = [0.6, -0.8, 0, 0, 0.8, 0.6, 0, 0, 0, 0, 1, 0];
    const right = put('turned.nii', { ...sheared, sform: turned });
    expect((await run(right, right)).json.mean).toMatchObject({ hausdorffPercentile: 0 });
  });
});

describe('the command', () => {
  const main = path.join(__dirname, '../../dist/eval/main.js');
  const command = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  test('prints a table, JSON or CSV, and writes a picture', () => {
    const plot = path.join(folder, 'plot.svg');
    const table = command(truth, prediction, '--scores', 'dice', '--plot', plot);
    expect(table).toEqual({
      status: 0,
      stderr: '',
      stdout: `sample  class    dice
truth   1      0.5000
        4      0.8000
mean    1      0.5000
        4      0.8000
        all    0.6500
`,
    });
    expect(readFileSync(plot, 'utf8')).toMatch(/^<svg/);
    const folders = [path.join(folder, 'truths'), path.join(folder, 'predictions')];
    const json = command(...folders, '--json', '--scores', 'dice');
    expect(JSON.parse(json.stdout).scores).toEqual(['dice']);
    expect(json.stderr.split('\n')[0]).toBe('1/6 a');
    expect(command(...folders, '--csv').stdout).toMatch(/^sample,class,dice,iou/);
    expect(command(...folders, '--summary').stdout).toMatch(/^sample +class.*\nmean /);
  });

  test('files that do not fit: 1', () => {
    expect(command(truth, path.join(folder, 'image.nii'))).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^warpdice-eval: Expected 3 x 2 x 2 voxels/),
    });
    expect(command(truth, 'nowhere.nii')).toMatchObject({ status: 1, stdout: '' });
  });

  test('help and version', () => {
    expect(command('--help')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^Usage: /),
    });
    const { version } = require('../../package.json');
    expect(command('--version')).toMatchObject({ status: 0, stdout: `${version}\n` });
    expect(command(truth)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /^warpdice-eval: Expected a truth and a prediction but received 1 paths\n\nUsage/,
      ),
    });
  });
});

test.each<[string[], string]>([
  [['a', 'b', '--json', '--csv'], '--json cannot be combined with --csv'],
  [['a', 'b', '--scores', 'dise'], "for --scores but received 'dise'"],
  [['a', 'b', '--scores', 'surfaceDice'], 'surfaceDice needs --tolerance'],
  [['a', 'b', '--tolerance', 'x'], "Expected a number from 0 for --tolerance but received 'x'"],
  [['a', 'b', '--absent', 'x'], "for --absent but received 'x'"],
  [['a', 'b', '--ignore', '-1'], "'--ignore"],
  [['a', 'b', '--ignore', '8,'], 'Expected labels from 0 to 65534 for --ignore'],
  [['a', 'b', '--colour'], "'--colour'"],
  [['a', 'b', '--labels', put('n.json', [1], true)], 'Expected an array of names for'],
  [
    ['a', 'b', '--labels', put('n2.json', 'x' as never, true)],
    'Expected an array or an object of labels for',
  ],
  [['a', 'b', '--labels', put('n7.json', { a: 1, b: 1 }, true)], 'Expected each label once for'],
  [['a', 'b', '--labels', put('n8.json', ['a', 'a'], true)], 'Expected each name once for'],
  [['a', 'b', '--labels', put('n9.json', {}, true)], 'Expected one or more labels for'],
  [['a', 'b', '--labels', put('n3.json', { a: 1.5 }, true)], 'Expected labels from 0 to 65534 for'],
  [['a', 'b', '--regions', put('n4.json', [1], true)], 'Expected an object of regions for'],
  [['a', 'b', '--regions', put('n5.json', {}, true)], 'Expected one or more regions for'],
  [['a', 'b', '--regions', put('n6.json', { a: [] }, true)], 'Expected one or more labels for'],
  [['a', 'b', '--regions', truth], 'Expected JSON in'],
])('%j is refused', (args, message) => {
  expect(() => parseOptions(args)).toThrow(message);
});
