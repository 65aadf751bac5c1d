// Who takes part in the interleaved run of a case: the limits and our calls. A peer is one more entry of such a list.
import { setThreads, simdTarget } from 'warpdice';
import { arithmeticShapes, computesTwice } from './bounds.js';
import { type Case, type Group, isHalf } from './cases.js';
import { type Answer, faultOf, type Outputs, solve } from './check.js';
import { limitsOf } from './limits.js';
import { names } from './names.js';
import { makeProblem, type Problem, wipe } from './problem.js';
import type { Contender } from './visits.js';

/** The calls of every case; the base has them all. */
const everywhere: readonly string[] = [names.valueAndGrad, names.value, names.gradient];

/** Limits only of cases that differ from the base in more than the loss: the others have its tensors. */
export function contendersOf(group: Group, c: Case, answer: Answer, threads: number): Contender[] {
  const [base] = group.cases;
  const problem = makeProblem(group, c, group.shape);
  const calls = callsOf(problem, answer, threads);
  const kept = c === base ? calls : calls.filter(({ name }) => everywhere.includes(name));
  if (group.extent === 'tiny') return kept;
  const limits = c.loss === base?.loss ? limitsOf(problem, threads) : [];
  return [...limits, ...kept, ...arithmeticOf(group, c)];
}

function callsOf(problem: Problem, answer: Answer, threads: number): Contender[] {
  const { loss, logits, target, out } = problem;
  const gradScale = scaleOf(problem, answer);
  // Some losses have no value for each class.
  const { value, grad, perClass } = out;
  const forwardOptions = { out: answer.perClass ? { value, perClass } : { value } };
  const options = { gradScale, out: answer.perClass ? out : { value, grad } };
  const gradientOptions = { gradScale, out: { grad } };
  const statistics = loss.statistics(logits, target);
  const plan = loss.plan(logits, target, options);
  let allocated: Outputs = {};

  const call = (name: string, run: () => void, outputs: () => Outputs, leave?: () => void) => ({
    name,
    kind: 'call' as const,
    elements: logits.size,
    enter: () => setThreads(threads),
    ...(leave && { leave }),
    run,
    fault: () => {
      wipe(out);
      run();
      return faultOf(problem, answer, outputs(), gradScale);
    },
  });

  return [
    call(
      names.valueAndGrad,
      () => loss.valueAndGrad(logits, target, options),
      () => out,
    ),
    call(
      names.value,
      () => loss.value(logits, target, forwardOptions),
      () => forwardOptions.out,
    ),
    call(
      names.gradient,
      () => loss.gradient(logits, target, statistics, gradientOptions),
      () => gradientOptions.out,
    ),
    call(
      names.plan,
      () => plan.execute(),
      () => out,
    ),
    call(
      names.allocating,
      () => {
        allocated = loss.valueAndGrad(logits, target, { gradScale });
      },
      () => allocated,
      () => {
        // Its garbage is not the next contender's to collect.
        allocated = {};
        globalThis.gc?.();
      },
    ),
  ];
}

/**
 * The same work on one thread with the same C on two sizes that stay in a core's own cache. The difference of their times over
 * the difference of their elements is the arithmetic of one element, without the cost of a call. A call that is too large to
 * keep its probabilities between the passes computes them in both, so here the two steps are called one by one as well.
 */
function arithmeticOf(group: Group, c: Case): Contender[] {
  const C = group.shape[1] ?? 1;
  const again = computesTwice(group.shape, c, simdTarget());
  return arithmeticShapes(C).map(({ name, shape }) => {
    const problem = makeProblem(group, c, shape);
    const answer = solve(group, shape, c.loss);
    const gradScale = scaleOf(problem, answer);
    const { loss, logits, target, out } = problem;
    const outputs = { value: out.value, grad: out.grad };
    const plan = loss.plan(logits, target, { gradScale, out: outputs });
    const statistics = loss.statistics(logits, target);
    const twoSteps = () => {
      loss.value(logits, target, { out: { value: out.value } });
      loss.gradient(logits, target, statistics, { gradScale, out: { grad: out.grad } });
    };
    const run = again ? twoSteps : () => plan.execute();
    return {
      name,
      kind: 'arithmetic',
      elements: logits.size,
      enter: () => setThreads(1),
      run,
      fault: () => {
        wipe(out);
        run();
        return faultOf(problem, answer, outputs, gradScale);
      },
    };
  });
}

/** A power of two that brings a half-precision gradient into the middle of its range; others need none. */
function scaleOf({ case: { dtype } }: Problem, { largestGradient }: Answer): number {
  return isHalf(dtype) ? 2 ** Math.floor(Math.log2(256 / largestGradient)) : 1;
}
