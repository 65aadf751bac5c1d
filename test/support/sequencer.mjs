// The order of the suites: those that take longest first, so that both workers end together. In a first run Jest does not know them.
import TestSequencer from '@jest/test-sequencer';

const longest = [
  'cuda/gpu-command',
  'contract/workers',
  'errors/loading',
  'devices/device-workers',
  'contract/settings',
  'eval/command',
].map((name) => `/test/${name}.test.ts`);

const rank = ({ path }) => {
  const at = longest.findIndex((name) => path.endsWith(name));
  return at < 0 ? longest.length : at;
};

export default class Sequencer extends TestSequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    if (tests.some(({ duration }) => duration !== undefined)) return sorted;
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}
