// Solves the random cases that the other libraries have solved (random_cases.py), and compares value and gradient.
import * as warpdice from '../../dist/index.js';

/** Of values and gradients of size 1: float64 keeps more, but theirs may sum in another order or square a difference. */
const within = { float32: 2e-5, float64: 1e-9 };

function solve({ loss, options, float32, shape, x, labels, mask }) {
  const [samples, , ...spatial] = shape;
  const FloatArray = float32 ? Float32Array : Float64Array;
  const map = [samples, ...spatial];
  const ofClasses = mask?.length === x.length;
  const { value, grad } = new (Reflect.get(warpdice, loss))(options).valueAndGrad(
    { data: FloatArray.from(x), shape },
    { data: Uint8Array.from(labels), shape: map },
    mask === null
      ? {}
      : { weight: { data: Uint8Array.from(mask), shape: ofClasses ? shape : map } },
  );
  return { value: value.itemSync(), gradient: grad.data };
}

/** What is wrong with a case, or undefined. */
function complaint(theirs) {
  const ours = solve(theirs);
  const allowed = within[theirs.float32 ? 'float32' : 'float64'];
  const value = ours.value * theirs.scale + theirs.shift;
  const close = (a, b) => Math.abs(a - b) <= allowed * Math.max(1, Math.abs(b));
  if (!close(value, theirs.value)) return `value ${value} instead of ${theirs.value}`;
  const i = theirs.gradient.findIndex((g, j) => !close(ours.gradient[j] * theirs.scale, g));
  return i < 0 ? undefined : `gradient[${i}] ${ours.gradient[i]} instead of ${theirs.gradient[i]}`;
}

/** Prints what differs. Returns how many cases do. */
export function compare(cases) {
  let wrong = 0;
  for (const theirs of cases) {
    const what = complaint(theirs);
    if (what === undefined) continue;
    wrong++;
    const { library, seed, loss, options, shape } = theirs;
    console.log(`${library}, seed ${seed}: ${what}; ${loss} ${JSON.stringify(options)} ${shape}`);
  }
  console.log(`${cases.length - wrong} of ${cases.length} random cases agree`);
  return wrong;
}
