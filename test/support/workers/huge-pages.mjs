// Prints for how many bytes huge pages are asked after each of: nothing, a small tensor, a large one, a gradient that a
// call allocates. Linux says of each mapping what was asked, whether or not it has followed yet: "hg" among its flags.
import { readFileSync } from 'node:fs';
import { DiceLoss, Tensor } from '../../../dist/index.js';

function askedBytes() {
  let bytes = 0;
  let mapping = 0; // its size
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const [key, ...values] = line.split(/ +/);
    if (key === 'Size:') mapping = 1024 * Number(values[0]);
    if (key === 'VmFlags:' && values.includes('hg')) bytes += mapping;
  }
  return bytes;
}

const labels = Tensor.empty([1, 1 << 19], 'uint8');
const asked = [askedBytes()];
const small = Tensor.empty([1, 2, 1 << 18]);
asked.push(askedBytes());
const large = Tensor.empty([1, 2, 1 << 19]);
asked.push(askedBytes());
const { grad } = new DiceLoss({ activation: 'softmax' }).valueAndGrad(large, labels);
asked.push(askedBytes());
console.log(JSON.stringify(asked));
small.dispose(); // all are alive until here
grad.dispose();
