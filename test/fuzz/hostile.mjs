// Values that no call expects. Each entry makes a new one, since a call may keep or change it.

const numbers = [-1, -0, 0.5, NaN, Infinity, -Infinity, 1e308, 5e-324]
  .concat([7, 255, 2 ** 15, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 31)])
  .map((value) => () => value);

const primitives = [
  undefined,
  null,
  true,
  false,
  '',
  '1',
  'sum',
  'x'.repeat(100_000),
  3n,
  Symbol('s'),
].map((value) => () => value);

const objects = [
  () => ({}),
  () => [],
  () => [1],
  () => Object.assign(new Array(2), { 1: 1 }), // a hole
  () => new Array(5),
  () => new Array(100_000).fill(1),
  () => [[1]],
  () => Object.create(null),
  () => Object.create({ data: new Float32Array(4), shape: [4] }), // what it has, it inherits
  () => () => 1,
  () => class {},
  () => new Date(0),
  () => new Map(),
  () => /x/,
  () => Promise.resolve(1),
  () => new Error('user'),
  () => new Proxy({}, {}),
  () => new Proxy([], {}),
  () => new Proxy(new Float32Array(4), {}),
  () => ({ data: new Float32Array(4), shape: [4] }),
  () => ({ data: new Float32Array(4), shape: [5] }),
  () => ({ data: new Float32Array(4), shape: [2 ** 31, 2 ** 31, 2 ** 31] }),
  () => ({ data: new Float32Array(4), shape: new Array(1000).fill(1) }),
  () => ({ data: new Float32Array(0), shape: [0] }),
  () => ({ data: new ArrayBuffer(16), shape: [4] }),
  () => ({ data: new DataView(new ArrayBuffer(16)), shape: [4] }),
  () => ({ data: new Float32Array(4), dims: [4] }),
  () => ({ length: 4, 0: 1, 1: 2, 2: 3, 3: 4 }),
  () => ({ toString: null, valueOf: null }),
  () => ({ [Symbol.toPrimitive]: () => ({}) }),
];

const arrays = [
  () => new Uint8ClampedArray(4),
  () => new Int8Array(4),
  () => new Int16Array(4),
  () => new Uint16Array(4),
  () => new Uint32Array(4),
  () => new BigInt64Array(4),
  () => new BigUint64Array(4),
  () => new Float64Array(0),
  () => new Float32Array(new SharedArrayBuffer(16)),
  () => new Float32Array(new ArrayBuffer(16, { maxByteLength: 64 })),
  () => Buffer.alloc(4),
  detached,
  disguised,
];

/** An array whose memory has gone to another thread. */
function detached() {
  const array = new Float32Array(4);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}

/** An array that lies about its kind and its length. */
function disguised() {
  const array = new Uint8Array(new ArrayBuffer(17), 1);
  Object.defineProperty(array, Symbol.toStringTag, { value: 'Float32Array' });
  Object.defineProperty(array, 'length', { value: 4 });
  Object.defineProperty(array, 'byteOffset', { value: 0 });
  return array;
}

const makers = [numbers, primitives, objects, arrays];

export function hostileValue(random) {
  return random.pick(random.pick(makers))();
}

/** What happens to a value that was right. */
const changes = [
  (value) => (Array.isArray(value) ? [...value, 1] : value),
  (value) => (Array.isArray(value) ? value.slice(1) : value),
  (value) => (Array.isArray(value) ? [...value].reverse() : value),
  (value) => (typeof value === 'object' && value !== null ? new Proxy(value, {}) : value),
  (value) => (typeof value === 'object' && value !== null ? Object.create(value) : value),
  (value) => (plain(value) ? { ...value, unheardOf: 1 } : value),
  (value) => (plain(value) ? Object.freeze({ ...value }) : value),
  (value) => (alive(value) ? value.subarray(1) : value),
  (value) => (alive(value) ? value.slice(0, 1) : value),
  (value) => (typeof value === 'number' ? value + 1 : value),
  (value) => (typeof value === 'number' ? String(value) : value),
  (value) => {
    if (typeof value?.dispose === 'function') value.dispose();
    return value;
  },
  (value) => {
    if (alive(value) && value.buffer instanceof ArrayBuffer && value.buffer.byteLength < 1e6) {
      structuredClone(value.buffer, { transfer: [value.buffer] });
    }
    return value;
  },
];

/** A typed array that still has its memory. */
const alive = (value) => ArrayBuffer.isView(value) && value.byteLength > 0 && 'subarray' in value;

const plain = (value) =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** Places in the arguments: each is the path to a value. */
function places(value, path, found, depth) {
  found.push(path);
  if (depth === 0 || !(plain(value) || Array.isArray(value))) return found;
  for (const key of Object.keys(value)) places(value[key], [...path, key], found, depth - 1);
  return found;
}

/** Changes one random place of the arguments. Returns what was done, for the report. */
export function spoil(args, random) {
  const path = random.pick(places(args, [], [], 4).slice(1));
  if (path === undefined) return 'nothing';
  const key = path.at(-1);
  let owner = args;
  for (const step of path.slice(0, -1)) owner = owner[step];
  if (Object.isFrozen(owner)) return 'nothing';
  const kind = random.below(8);
  if (kind === 0) delete owner[key];
  else if (kind < 4) owner[key] = random.pick(changes)(owner[key]);
  else owner[key] = hostileValue(random);
  return `${path.join('.')}: ${kind === 0 ? 'left out' : kind < 4 ? 'changed' : 'replaced'}`;
}

/** What a method may be called on by mistake: a proxy of its object, as reactive frameworks make, or an heir of it. */
export function otherReceiver(receiver, random) {
  return random.chance(0.5) ? new Proxy(receiver, {}) : Object.create(receiver);
}
