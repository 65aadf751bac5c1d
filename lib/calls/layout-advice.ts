// Advice for predictions, or a dense target, whose classes are on the axis of the other layout.
import { sameShape, sameShapeWithout } from '../common/check.js';

/** What to do when the target would fit the predictions if either had the other layout; undefined when it would not. */
export function layoutAdvice(
  predictions: readonly number[],
  target: readonly number[],
  channelsLast: boolean,
): string | undefined {
  const [last, axis] = [predictions.length - 1, channelsLast ? 1 : predictions.length - 1];
  if (predictions.length < 3) return undefined;
  const [samples, ...rest] = predictions;
  const moved = channelsLast ? [rest.at(-1), ...rest.slice(0, -1)] : [...rest.slice(1), rest[0]];
  if (sameShape(target, [samples, ...moved] as number[])) {
    return `move the classes of the target to axis ${channelsLast ? last : 1}, where the predictions have them, or pass class indices`;
  }
  if (!sameShapeWithout(target, predictions, axis)) return undefined;
  return `set layout: '${channelsLast ? 'channels-first' : 'channels-last'}' if axis ${axis} of the predictions holds the classes`;
}
