// Makes the errors for values out of range; the addon reports only numbers.
import { WarpDiceError } from '../common/errors.js';
import { translate } from './translate-error.js';

/** The labels that the addon has read. */
interface Labels {
  /** The argument that holds them. */
  name: string;
  classes: number;
  /** Whether the values are class indices, instead of 0 and 1. */
  indices: boolean;
  /** Whether they are floats, which may be anything from 0 to 1. */
  probabilities?: boolean;
  /** Whether they are the predictions of a loss without an activation. */
  logits?: boolean;
  ignoreIndex: number | ArrayLike<number> | undefined;
}

/** The argument that holds the values: what the addon says of an error for values out of range. */
export const argumentOf = (error: unknown): 'predictions' | 'target' | undefined =>
  (error as { argument?: 'predictions' | 'target' }).argument;

/** The error that users see. */
export function toUserError(error: unknown, labels: Labels): unknown {
  const { code, count, index, value } = error as WarpDiceError;
  if (code === 'ERR_LABEL_RANGE') {
    const { name, ignoreIndex } = labels;
    const allowed = allowedIn(labels);
    const ignore =
      ignoreIndex === undefined || labels.logits
        ? ''
        : ` (or ignoreIndex ${typeof ignoreIndex === 'number' ? ignoreIndex : Array.from(ignoreIndex).join(' or ')})`;
    const details = { count: count as number, index: index as number, value: value as number };
    return new WarpDiceError(
      code,
      `Expected ${allowed}${ignore} for ${name} but received ${details.count} other value${details.count === 1 ? '' : 's'}, the first ${details.value} at index ${details.index}${adviceFor(details.value, labels)}`,
      details,
    );
  }
  return translate(error);
}

function allowedIn({ classes, indices, probabilities, logits }: Labels): string {
  if (probabilities) return `${logits ? 'probabilities' : 'values'} from 0 to 1`;
  return indices && classes > 1 ? `class indices from 0 to ${classes - 1}` : '0 or 1';
}

/** 255 is white in a mask from an image file, and in many data sets the label of voxels without a class. */
function adviceFor(value: number, labels: Labels): string {
  const { name, classes, indices, probabilities, logits, ignoreIndex } = labels;
  if (logits) return ": for logits use activation 'softmax' or 'sigmoid'";
  if (probabilities && name === 'predictions' && value !== 255)
    return ': compare logits with threshold 0';
  if (value !== 255 || ignoreIndex !== undefined) return '';
  if (indices && classes > 1)
    return name === 'predictions' ? '' : ': to leave voxels of 255 out, set ignoreIndex: 255';
  return ': divide a mask of 0 and 255 by 255';
}
