// The process ends while the emulated device has work. Argument: 'exit' at once, 'end' by itself when all is read.
import { Device, DiceLoss, Tensor } from '../../../dist/index.js';

const gpu = Device.cuda(0);
const x = Tensor.from(new Float32Array(3000), [1, 3, 1000]).to(gpu);
const y = Tensor.from(new Uint8Array(1000), [1, 1000]).to(gpu);
const loss = new DiceLoss({ activation: 'softmax' });
let read = 0;
for (let i = 0; i < 32; i++) {
  loss
    .valueAndGrad(x, y)
    .value.item()
    .then(() => {
      read++;
    });
}
if (process.argv[2] === 'exit') process.exit(0);
process.on('exit', () => console.log('read', read));
