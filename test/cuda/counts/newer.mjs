// Instructions that sm_90 does not have: of three operands from sm_100 on, of 64 bits in sm_120.
import { pair, predicate, split, target } from './operands.mjs';

/** The smallest or largest of three. */
export function extremeOfThree(read, write, convert, two) {
  return ({ operands }) => {
    const { to, sources, inputs } = split(operands);
    const [a, b, c] = sources.map(read);
    return (t) => {
      const min = inputs[0](t);
      const [x, y, z] = [a(t), b(t), c(t)].map(convert);
      to(t, write(two(two(x, y, 0, min), z, 0, min)) >>> 0);
    };
  };
}
export function add64({ operands }) {
  const { to, sources } = split(operands);
  const reads = sources.map(pair);
  return (t) =>
    putPair(
      t,
      to,
      reads.reduce((sum, read) => sum + read(t), 0n),
    );
}
export function extreme64({ operands }) {
  const to = target(operands[2]);
  const [a, b] = operands.slice(3, 5).map(pair);
  const isSmallest = predicate(operands[5]);
  return (t) => {
    const [x, y] = [a(t), b(t)].map((bits) => BigInt.asIntN(64, bits));
    putPair(t, to, x < y === isSmallest(t) ? x : y);
  };
}
function putPair(t, to, value) {
  to(t, Number(BigInt.asUintN(32, value)));
  to(t, Number(BigInt.asUintN(32, value >> 32n)), 1);
}
