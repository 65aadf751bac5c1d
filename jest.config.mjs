// `npm test` leaves out the suites `*.long.test.ts` and parts of large matrices (test/support/in-this-run.ts); with
// WARPDICE_TEST_ALL=1 (`npm run test:all`) everything is run.
const all = Boolean(process.env.WARPDICE_TEST_ALL);

// Jest runs suites in a vm context, where each use of a global is looked up: 100 ns, which also keep V8 from optimising. These become
// variables of every module.
const fastGlobals =
  'Array ArrayBuffer BigInt Boolean Error Float32Array Float64Array Int32Array JSON Map Math Number Object Promise RangeError Reflect ' +
  'Set SharedArrayBuffer String Symbol TypeError Uint16Array Uint32Array Uint8Array WeakMap process';

export default {
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: all ? [] : ['\\.long\\.test\\.ts$'],
  // Both cores of a small machine: Jest would leave one free.
  maxWorkers: '100%',
  // For a machine that is slow, or busy with other work: no test is about time.
  testTimeout: 300_000,
  testEnvironment: '<rootDir>/test/support/environment.cjs',
  sandboxInjectedGlobals: fastGlobals.split(' '),
  globalSetup: '<rootDir>/test/support/build-emulated.mjs',
  setupFilesAfterEnv: ['<rootDir>/test/support/setup.ts'],
  testSequencer: '<rootDir>/test/support/sequencer.mjs',
  reporters: ['default', '<rootDir>/test/support/skipped-reporter.mjs'],
  moduleNameMapper: {
    // The benchmark imports the built package; its tests run it on the sources.
    '^warpdice$': '<rootDir>/lib/index',
    // The sources import './x.js' as Node wants it; Jest reads the './x.ts' behind it.
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.[jt]s$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
      },
    ],
  },
};
