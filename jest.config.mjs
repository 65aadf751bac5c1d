export default {
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testEnvironment: '<rootDir>/test/support/environment.cjs',
  globalSetup: '<rootDir>/test/support/build-emulated.mjs',
  reporters: ['default', '<rootDir>/test/support/skipped-reporter.mjs'],
  moduleNameMapper: {
    // The benchmark imports the built package; its tests run it on the sources.
    '^warpdice$': '<rootDir>/lib/index',
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
