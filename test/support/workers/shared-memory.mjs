// Makes tensors of 16 MB one after the other without letting the event loop run, and prints the largest resident memory in MB.
import { readFileSync } from 'node:fs';
import { Tensor } from '../../../dist/index.js';

const [how, count] = process.argv.slice(2);
const disposes = how === 'dispose';
for (let i = 0; i < Number(count); i++) {
  const tensor = Tensor.empty([1 << 22]);
  tensor.data.fill(1);
  if (disposes) tensor.dispose();
}
const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
console.log(Math.round(kilobytes / 1024));
