// The addon makes its errors and typed arrays in Node's main realm, while Jest runs the tests in a
// vm context with constructors of its own. The main realm's are shared here, so that `instanceof`
// and toThrow(TypeError) mean what they mean outside Jest.
const { TestEnvironment } = require('jest-environment-node');

const shared = [
  'Error',
  'TypeError',
  'RangeError',
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
];

module.exports = class extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    for (const name of shared) {
      if (name in globalThis) this.global[name] = globalThis[name];
    }
  }
};
