// Another thread flips labels between a class and nonsense while calls read them: a wrong value or an error
// each, never a crash. More than 32 classes, since labels then index a table.
import { isMainThread, Worker, workerData } from 'node:worker_threads';

if (isMainThread) {
  const { DiceLoss } = await import('../../../dist/index.js');
  const [C, S] = [40, 1024];
  const shared = new SharedArrayBuffer(4 * S);
  const worker = new Worker(new URL(import.meta.url), { workerData: shared });
  await new Promise((resolve) => worker.once('message', resolve));
  const loss = new DiceLoss();
  const x = { data: new Float32Array(C * S).fill(0.1), shape: [1, C, S] };
  const y = { data: new Int32Array(shared), shape: [1, S] };
  const milliseconds = process.env.WARPDICE_TEST_ALL ? 4000 : 600;
  for (const end = Date.now() + milliseconds; Date.now() < end; ) {
    try {
      loss.valueAndGrad(x, y);
    } catch (error) {
      if (error.code !== 'ERR_LABEL_RANGE') throw error;
    }
  }
  await worker.terminate();
  y.data.fill(1);
  console.log('still works:', loss.value(x, y).value.itemSync() > 0);
} else {
  const { parentPort } = await import('node:worker_threads');
  const labels = new Int32Array(workerData);
  parentPort.postMessage('begun');
  for (;;) {
    labels.fill(0x7ffffff0);
    labels.fill(1);
  }
}
