// `npm test` leaves out the suites `*.long.test.ts` and parts of large matrices (test/support/in-this-run.ts); with
// WARPDICE_TEST_ALL=1 (`npm run test:all`) everything is run.
const all = Boolean(process.env.WARPDICE_TEST_ALL);

export default {
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: all ? [] : ['\\.long\\.test\\.ts$'],
  // Both cores of a small machine: Jest would leave one free.
  maxWorkers: '100%',
  // For a machine that is slow, or busy with other work: no test is about time.
  testTimeout: 300_000,
  testEnvironment: '<rootDir>/test/support/environment.cjs',
  globalSetup: '<rootDir>/test/support/build-emulated.mjs',
  reporters: ['default', '<rootDir>/test/support/skipped-reporter.mjs'],
  moduleNameMapper: {
    // The benchmark imports the built package; its tests run it on the sources.
    '^warpdice$': '<rootDir>/lib/index',
    '^\\.\\./dist/(.*)\\.js$': '<rootDir>/lib/$1',
    // The sources import './x.js' as Node wants it; Jest reads the './x.ts' behind it.
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
      },
    ],
  },
};
