// For suites that begin with `@jest-environment ./test/support/emulated-environment.cjs`: lib/ loads the addon on an
// emulated device. Its sources are the addon's, CUDA included, on a fake CUDA runtime (test/cuda/fake-runtime) whose kernels are run
// by an emulator (test/cuda/emulator). Nothing there has run on a GPU.
const path = require('node:path');
const TestEnvironment = require('./environment.cjs');

module.exports = class extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    this.global.process.env.WARPDICE_TEST_ADDON = path.resolve(
      __dirname,
      '../../build/emulated/warpdice_emulated.node',
    );
  }
};
