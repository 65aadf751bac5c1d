// Measures the loss of linearLogits, and sends it to its parent.
import type { HeadResult } from '../report/results.js';
import { measureHead } from './head.js';
import { inChild } from './processes.js';

export interface HeadMessage {
  readonly type: 'head';
  readonly head: HeadResult[];
}

await inChild<HeadMessage>(async ({ threads, quick }, send) => {
  send({ type: 'head', head: await measureHead(threads, quick) });
});
