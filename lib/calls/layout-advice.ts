// Advice for predictions whose classes are on the axis of the other layout.
import { sameShapeWithout } from '../common/check.js';

/** What to do when the target would fit the predictions in the other layout; undefined when it would not. */
export function layoutAdvice(
  predictions: readonly number[],
  target: readonly number[],
  channelsLast: boolean,
): string | undefined {
  const axis = channelsLast ? 1 : predictions.length - 1;
  if (predictions.length < 3 || !sameShapeWithout(target, predictions, axis)) return undefined;
  return `set layout: '${channelsLast ? 'channels-first' : 'channels-last'}' if axis ${axis} of the predictions holds the classes`;
}
