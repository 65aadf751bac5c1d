// Makes 80 tensors of 16 MB one after the other without letting the event loop run, and prints the largest resident memory in MB.
import { readFileSync } from 'node:fs';
import { Tensor } from '../../../dist/index.js';

const disposes = process.argv[2] === 'dispose';
for (let i = 0; i < 80; i++) {
  const tensor = Tensor.empty([1 << 22]);
  tensor.data.fill(1);
  if (disposes) tensor.dispose();
}
const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
console.log(Math.round(kilobytes / 1024));
