// Gradients of the reference against the change of its value.
import { type Problem, reference } from '../reference/reference.js';
import { Random } from './random.js';

/** A few elements, other ones each time: over many problems every element has its turn. */
const chosen = new Random(2);
const sample = (length: number): number[] =>
  Array.from({ length: 5 }, () => chosen.integer(length));

/** Compares the gradient of a problem with the change of its value when one prediction, or dense target, moves by 2h. */
export function checkGradient(problem: Problem, of: 'predictions' | 'dense' = 'predictions'): void {
  const { upstream, gradScale = 1 } = problem;
  const objective = (moved: Float64Array): number => {
    const { value } = reference({ ...problem, [of]: moved });
    const weighted = value.map((v, i) => v * (upstream ? (upstream[i] as number) : 1));
    return gradScale * weighted.reduce((a, b) => a + b, 0);
  };
  const solution = reference(problem);
  const gradient = of === 'dense' ? solution.targetGradient : solution.gradient;
  const scale = Math.max(...gradient.map(Math.abs));
  if (!(scale > 0)) throw new Error(`no gradient to compare for ${JSON.stringify(problem)}`);
  const h = 1e-5;
  for (const i of sample(gradient.length)) {
    const moved = Float64Array.from(problem[of] as ArrayLike<number>);
    const center = moved[i] as number;
    moved[i] = center + h;
    const above = objective(moved);
    moved[i] = center - h;
    const difference = (above - objective(moved)) / (2 * h);
    if (!(Math.abs(difference - (gradient[i] as number)) <= 1e-7 * scale + 1e-9)) {
      throw new Error(
        `gradient[${i}] is ${gradient[i]}, the finite difference ${difference}, for ${JSON.stringify(problem)}`,
      );
    }
  }
}
