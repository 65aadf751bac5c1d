// The rows of a case: passes over its memory, and our calls. Each knows how to run, and how to tell whether its result is right.
import { setThreads } from 'warpdice';
import { type Answer, faultOf, type Outputs } from '../cases/answer.js';
import { type Case, type Group, isHalf } from '../cases/cases.js';
import { calls, passes as passNames } from '../cases/names.js';
import { bytesOf, makeProblem, type Problem, wipe } from '../cases/problem.js';
import type { Passes } from './passes.js';
import { type Budget, interleave, type Timed } from './timing.js';

interface Row extends Timed {
  readonly name: string;
  /** Runs once and says what is wrong with the result, if anything. */
  fault(): string | undefined;
}

/** The first case of a group has all rows. The others have three calls, and copies where their tensors are others. */
export function rowsOf(group: Group, c: Case, answer: Answer, passes: Passes): Row[] {
  const [first] = group.cases;
  const problem = makeProblem(group, c, group.shape);
  const own = callRows(problem, answer);
  if (c !== first) own.splice(3);
  if (group.extent === 'tiny' || c.loss !== first?.loss) return own;
  const copies = copyRows(problem, passes);
  return [...copies, ...(c === first ? floorRows(problem, passes) : []), ...own];
}

/** The yardstick of the targets: the logits copied to where the gradient goes. */
function copyRows({ logits, out }: Problem, passes: Passes): Row[] {
  const [from, to] = [bytesOf(logits.data), bytesOf(out.grad.data)];
  return passNames.copy.map((name, i) =>
    row(
      name,
      out,
      () => passes.copy(to, from, i === 1),
      () => (to.equals(from) ? undefined : 'a wrong copy'),
    ),
  );
}

/**
 * About the least that a call can take. Traffic: logits and target are read, the gradient is written. Exponentials, of float32:
 * one for each logit, read and written.
 */
function floorRows({ case: { dtype }, logits, target, out }: Problem, passes: Passes): Row[] {
  const [from, labels, to] = [logits, target, out.grad].map(({ data }) => bytesOf(data));
  const filled = () => (to.every((byte) => byte === 1) ? undefined : 'a wrong write');
  const traffic = passNames.traffic.map((name, i) => {
    const run = () => {
      passes.read(from);
      passes.read(labels);
      passes.fill(to, 1, i === 1);
    };
    return row(name, out, run, filled);
  });
  if (dtype !== 'float32') return traffic;
  const [z, grad] = [logits.data, out.grad.data] as [Float32Array, Float32Array];
  const wrong = (x: number, i: number) => {
    const right = Math.exp(-Math.abs(z[i]));
    return !(Math.abs(x - right) <= 1e-6 * right);
  };
  const exp = passNames.exp.map((name, i) =>
    row(
      name,
      out,
      () => passes.exponentials(grad, z, i === 1),
      () => (grad.some(wrong) ? 'a wrong exponential' : undefined),
    ),
  );
  return [...traffic, ...exp];
}

function callRows(problem: Problem, answer: Answer): Row[] {
  const { loss, logits, target, out } = problem;
  // A power of two that brings a half-precision gradient into the middle of its range.
  const gradScale = isHalf(problem.case.dtype)
    ? 2 ** Math.floor(Math.log2(256 / answer.largestGradient))
    : 1;
  // Some losses have no value for each class.
  const { value, grad, perClass } = out;
  const forward: Outputs = answer.perClass ? { value, perClass } : { value };
  const options = { gradScale, out: { ...forward, grad } };
  const statistics = loss.statistics(logits, target);
  const plan = loss.plan(logits, target, options);
  let allocated: Outputs = {};
  const call = (name: string, run: () => void, outputs: () => Outputs) =>
    row(name, out, run, () => faultOf(problem, answer, outputs(), gradScale));
  return [
    call(
      calls.valueAndGrad,
      () => loss.valueAndGrad(logits, target, options),
      () => options.out,
    ),
    call(
      calls.value,
      () => loss.value(logits, target, { out: forward }),
      () => forward,
    ),
    call(
      calls.gradient,
      () => loss.gradient(logits, target, statistics, { gradScale, out: { grad } }),
      () => ({ grad }),
    ),
    call(
      calls.plan,
      () => plan.execute(),
      () => options.out,
    ),
    {
      ...call(
        calls.allocating,
        () => {
          allocated = loss.valueAndGrad(logits, target, { gradScale });
        },
        () => allocated,
      ),
      leave: () => {
        // Its garbage is not the next row's to collect.
        allocated = {};
        globalThis.gc?.();
      },
    },
  ];
}

/** A row whose result is looked at after one run on wiped outputs. */
function row(
  name: string,
  out: Problem['out'],
  run: () => void,
  fault: () => string | undefined,
): Row {
  return {
    name,
    run,
    fault: () => {
      wipe(out);
      run();
      return fault();
    },
  };
}

/** What was found of one row. */
export interface RowTimes {
  readonly name: string;
  /** Its case: a place among those of the group. */
  readonly owner: number;
  /** Milliseconds by round; none where it was wrong. */
  readonly times: readonly number[];
  readonly fault?: string;
}

/** Checks every row, then times those that are right, in turns. */
export async function timeRows(
  rows: readonly (Row & { readonly owner: number })[],
  threads: number,
  budget: Budget,
): Promise<RowTimes[]> {
  setThreads(threads);
  const faults = rows.map((one) => {
    const fault = one.fault();
    one.leave?.();
    return fault;
  });
  const right = rows.filter((_, i) => faults[i] === undefined);
  const times = await interleave(right, budget);
  return rows.map((one, i) => {
    const { name, owner } = one;
    const fault = faults[i];
    return fault === undefined
      ? { name, owner, times: times[right.indexOf(one)] ?? [] }
      : { name, owner, times: [], fault };
  });
}
