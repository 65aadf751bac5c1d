// The order of the suites: those that take longest first, so that both workers end together. In a first run Jest does not know them.
import TestSequencer from '@jest/test-sequencer';

const longest = [
  'cuda/emulator',
  'mpi/mpi',
  'cuda/gpu-command',
  'contract/workers',
  'errors/loading',
  'devices/device-workers',
  'contract/settings',
  'eval/command',
].map((name) => new RegExp(`/test/${name}(\\.long)?\\.test\\.ts$`));

const rank = ({ path }) => {
  const at = longest.findIndex((name) => name.test(path));
  return at < 0 ? longest.length : at;
};

export default class Sequencer extends TestSequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    if (tests.some(({ duration }) => duration !== undefined)) return sorted;
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}
