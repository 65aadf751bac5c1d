// `npm run test:all`: also the long suites, and every case of the large matrices.
process.env.WARPDICE_TEST_ALL = '1';
export default (await import('./jest.config.mjs')).default;
