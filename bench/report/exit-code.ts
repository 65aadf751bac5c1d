// The exit code of npm run bench. A wrong result of ours is an error; that of a peer is named and not timed, and no fault of this project.
import type { Saved } from './results.js';

/** 1: one of our results was wrong, a process ended early, or nothing was measured. */
export const exitCode = (found: Saved | undefined): 0 | 1 =>
  found && hasFigures(found) && faultsOf(found).length === 0 ? 0 : 1;

/** What was wrong with our own results, and processes that did not come to their end. */
function faultsOf({ results, peers, scaling, endedEarly = [] }: Saved): string[] {
  return [
    ...results.flatMap(({ cases }) => cases.flatMap(({ faults = [] }) => faults)),
    ...peers.map(({ oursFault }) => oursFault),
    ...scaling.flatMap(({ points }) => points.map(({ fault }) => fault)),
    ...endedEarly,
  ].filter((fault) => fault !== undefined);
}

/** Is anything timed or measured? */
export function hasFigures({
  results,
  peers,
  memory,
  scaling,
  ranks = [],
  head = [],
}: Saved): boolean {
  return (
    results.some(({ cases }) => cases.some(({ calls }) => calls.length > 0)) ||
    peers.some(({ ms }) => ms) ||
    memory.some(({ resident }) => resident !== undefined) ||
    scaling.some(({ points }) => points.some(({ ms }) => ms)) ||
    ranks.some(({ ms }) => ms) ||
    head.some(({ ms }) => ms)
  );
}
