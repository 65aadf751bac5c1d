// A caller of server.ts: says that it is ready, then steps for so many seconds as it is told and says how often it did.
import { parentPort } from 'node:worker_threads';
import { problems, step } from './server.js';

const [own] = problems(1);
step(own);
parentPort?.on('message', (seconds: number) => {
  const end = performance.now() + seconds * 1000;
  let steps = 0;
  for (; performance.now() < end; steps++) step(own);
  parentPort?.postMessage(steps);
});
parentPort?.postMessage(0);
