// Numbers that remember what they were made of, so that the reference states formulas only and derivatives follow by the
// chain rule.

export class Variable {
  /** d of what backward() was called with / d this. */
  slope = 0;
  readonly value: number;
  /** Each part with d this / d part. */
  readonly from: readonly (readonly [Variable, number])[];

  constructor(value: number, from: readonly (readonly [Variable, number])[] = []) {
    this.value = value;
    this.from = from;
  }
}

type Term = Variable | number;

const numberOf = (x: Term): number => (typeof x === 'number' ? x : x.value);

function made(value: number, ...from: [Term, number][]): Variable {
  return new Variable(
    value,
    from.filter((part): part is [Variable, number] => part[0] instanceof Variable),
  );
}

export const sum = (...terms: Term[]): Variable =>
  made(
    terms.reduce<number>((total, x) => total + numberOf(x), 0),
    ...terms.map((x): [Term, number] => [x, 1]),
  );

export const difference = (a: Term, b: Term): Variable =>
  made(numberOf(a) - numberOf(b), [a, 1], [b, -1]);

/** A factor that is the plain number 0, a weight say, makes 0 of infinity and NaN too: the other says nothing. */
export const product = (a: Term, b: Term): Variable =>
  a === 0 || b === 0
    ? made(0)
    : made(numberOf(a) * numberOf(b), [a, numberOf(b)], [b, numberOf(a)]);

export const quotient = (a: Term, b: Term): Variable => {
  const [x, y] = [numberOf(a), numberOf(b)];
  return made(x / y, [a, 1 / y], [b, -x / y / y]);
};

/** f of one number, with its derivative there. */
export const applied = (a: Term, value: number, slope: number): Variable => made(value, [a, slope]);

/** Adds d of / d x to the slope of every x that `of` was made from; the slopes begin at 0. */
export function backward(of: Variable, upstream: number): void {
  const order: Variable[] = [];
  const seen = new Set<Variable>();
  const visit = (x: Variable): void => {
    if (seen.has(x)) return;
    seen.add(x);
    for (const [part] of x.from) visit(part);
    order.push(x);
  };
  visit(of);
  const slopes = new Map<Variable, number>([[of, upstream]]);
  for (const x of order.reverse()) {
    const slope = slopes.get(x) ?? 0;
    x.slope += slope;
    // 0 * NaN is 0 here: a part that does not count says nothing.
    if (slope === 0) continue;
    for (const [part, factor] of x.from) {
      slopes.set(part, (slopes.get(part) ?? 0) + slope * factor);
    }
  }
}
