// The command line of warpdice-eval.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { checkOneOf, expectOneOf } from '../common/check.js';
import { type MetricsAbsent, metricsAbsentPolicies } from '../common/shared-options.js';
import { type ComponentScoreName, measuredComponents } from '../metrics/component-scores.js';
import { type ScoreName, scoreNames } from '../metrics/scores.js';
import { type SurfaceScoreName, surfaceScoreNames } from '../metrics/surface-scores.js';
import { checkLabel, parseLabels, parseRegions, type Wanted } from './labels.js';

export const usage = `Usage: warpdice-eval [options] truth.nii.gz prediction.nii.gz
       warpdice-eval [options] truths/ predictions/

Prints segmentation scores of NIfTI label maps: Dice, IoU, precision, recall, Hausdorff distance (95%) and average
symmetric surface distance in mm. Of two folders, files of the same name are compared.

  --labels FILE          names of the labels, in JSON: ["background", "liver"], { "liver": 1 } or nnU-Net's dataset.json.
                         Other labels are an error. Default: the labels that the files have
  --regions FILE         regions in place of the labels, in JSON: { "whole": [1, 2, 4], "core": [1, 4] }
  --ignore LABELS        leave out voxels with this label in the truth, or with one of several: 254,255
  --scores LIST          such as dice,hausdorff,lesionF1: a wrong name lists all
  --tolerance MM         adds surfaceDice: the share of the surfaces within so many mm of each other
  --absent POLICY        a label that the truth does not have: skip-agreed (default) leaves it out, and a false alarm is
                         the worst score; agree scores 1 in place of leaving it out; skip leaves out false alarms too
  --worst-distance MM    the distance of a label that only one of the two has. Default Infinity
  --background           score label 0 too
  --json, --csv          print JSON or CSV instead of a table
  --plot FILE            write box plots as SVG
  --summary              leave the single cases out of the table
  --help, --version

Exit status: 0; 1 where files cannot be read or compared, and nothing is printed then; 2 for a wrong command line.`;

type WantedScore = ScoreName | SurfaceScoreName | ComponentScoreName;

export interface EvalOptions {
  readonly help: boolean;
  readonly version: boolean;
  readonly truth: string;
  readonly prediction: string;
  readonly wanted: Wanted;
  readonly scores: readonly WantedScore[] | undefined;
  readonly tolerance: number | undefined;
  readonly absent: MetricsAbsent;
  readonly worstDistance: number | undefined;
  readonly background: boolean;
  readonly form: 'text' | 'json' | 'csv';
  readonly plot: string | undefined;
  readonly summary: boolean;
}

/** @throws Error for anything that is not on the page of `usage` */
export function parseOptions(args: readonly string[]): EvalOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      labels: { type: 'string' },
      regions: { type: 'string' },
      ignore: { type: 'string' },
      scores: { type: 'string' },
      tolerance: { type: 'string' },
      absent: { type: 'string' },
      'worst-distance': { type: 'string' },
      background: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      csv: { type: 'boolean', default: false },
      plot: { type: 'string' },
      summary: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      version: { type: 'boolean', default: false },
    },
  });
  const { help, version, json, csv } = values;
  if (!help && !version && positionals.length !== 2) {
    throw new Error(`Expected a truth and a prediction but received ${positionals.length} paths`);
  }
  if (json && csv) throw new Error('--json cannot be combined with --csv');
  const [truth = '', prediction = ''] = positionals;
  return {
    help,
    version,
    truth,
    prediction,
    wanted: wantedBy(values),
    scores:
      values.scores === undefined
        ? undefined
        : checkScores(values.scores, values.tolerance !== undefined),
    tolerance: distance(values.tolerance, '--tolerance'),
    absent: checkOneOf(values.absent, '--absent', metricsAbsentPolicies, 'skip-agreed'),
    worstDistance: distance(values['worst-distance'], '--worst-distance'),
    background: values.background,
    form: json ? 'json' : csv ? 'csv' : 'text',
    plot: values.plot,
    summary: values.summary,
  };
}

function checkScores(list: string, hasTolerance: boolean): WantedScore[] {
  const surfaces = surfaceScoreNames.filter((name) => name !== 'boundaryIou');
  return list.split(',').map((given) => {
    const name = expectOneOf(given.trim(), '--scores', [
      ...scoreNames,
      ...surfaces,
      ...measuredComponents.names,
    ]);
    if (name === 'surfaceDice' && !hasTolerance) throw new Error('surfaceDice needs --tolerance');
    return name;
  });
}

function wantedBy(values: {
  labels?: string | undefined;
  regions?: string | undefined;
  ignore?: string | undefined;
}): Wanted {
  const labels = values.labels === undefined ? {} : parseLabels(json(values.labels), values.labels);
  const ignore = values.ignore === undefined ? {} : { ignore: values.ignore.split(',').map(label) };
  if (values.regions === undefined) return { ...labels, ...ignore };
  return { ...labels, ...ignore, regions: parseRegions(json(values.regions), values.regions) };
}

const label = (text: string) => checkLabel(text.trim() === '' ? text : Number(text), '--ignore');

function json(file: string): unknown {
  const text = readFileSync(file, 'utf8');
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')); // some editors begin a file with a byte order mark
  } catch (cause) {
    throw new Error(`Expected JSON in ${file} but received: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function distance(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (text.trim() !== '' && number >= 0) return number;
  throw new Error(`Expected a number from 0 for ${name} but received '${text}'`);
}
