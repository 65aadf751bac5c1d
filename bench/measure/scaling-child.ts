// Measures how time grows, and sends it to its parent.
import type { ScalingResult } from '../report/results.js';
import { inChild } from './processes.js';
import { measureScaling } from './scaling.js';

export interface ScalingMessage {
  readonly type: 'scaling';
  readonly scaling: ScalingResult[];
}

await inChild<ScalingMessage>(async ({ threads, quick }, send) => {
  send({ type: 'scaling', scaling: await measureScaling(threads, quick) });
});
