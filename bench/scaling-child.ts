// Measures how time grows, and a small training server, and sends the results to its parent.
import type { MeasureSettings } from './measure-child.js';
import type { ScalingResult, ServerResult } from './results.js';
import { measureScaling } from './scaling.js';
import { measureServer } from './server.js';

export type ScalingMessage =
  | { readonly type: 'progress'; readonly stage: string; readonly share: number }
  | {
      readonly type: 'scaling';
      readonly scaling: ScalingResult[];
      readonly server: ServerResult[];
    };

process.once('disconnect', () => process.exit());

const { threads, quick } = JSON.parse(process.argv[2] as string) as MeasureSettings;
const send = (message: ScalingMessage) => process.send?.(message);
const progress = (stage: string, share: number) => send({ type: 'progress', stage, share });

const scaling = await measureScaling(threads, quick, progress);
const server = await measureServer(threads, quick, progress);
send({ type: 'scaling', scaling, server });
process.disconnect?.();
