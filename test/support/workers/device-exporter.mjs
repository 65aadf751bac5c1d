// Exports eight floats and an event of the emulated device to its parent, and answers it: 'read', 'later' (holds the
// stream, and enqueues a write and then the event), 'now' (lets it go on), 'end'.

import { Device, StreamEvent, Tensor } from '../../../dist/index.js';
import { native } from '../../../dist/native/load.js';

const gpu = Device.cuda(0);
const x = Tensor.empty([8], 'float32', { device: gpu, exportable: true });
const event = new StreamEvent(gpu, { interprocess: true });
await x.write(Float32Array.from({ length: 8 }, (_, i) => i));

const answers = {
  read: () => x.read(),
  later() {
    native.fake.hold(gpu.stream.handle, true);
    x.write(new Float32Array(8).fill(7));
    event.record(gpu.stream);
  },
  async now() {
    native.fake.hold(gpu.stream.handle, false);
    await gpu.synchronize();
  },
  end: () => process.exit(0),
};
process.on('message', async (what) => process.send({ answer: await answers[what]() }));
process.send({ ...x.ipcHandle(), event: event.ipcHandle() });
