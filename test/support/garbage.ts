// Steps that make no garbage.
import { getHeapStatistics } from 'node:v8';

/**
 * Expects `step` to allocate nothing on V8's heap. An object takes 16 bytes or more. V8 and Jest use the heap too, and a slow machine
 * compiles late, so the smallest growth of all rounds counts. A collection shrinks the heap: such a round says nothing.
 */
export function expectNoGarbage(step: () => unknown, steps = 500): void {
  const grown: number[] = [];
  for (let round = 0; round < 20; round++) {
    const { used_heap_size: before } = getHeapStatistics();
    for (let i = 0; i < steps; i++) step();
    grown.push(getHeapStatistics().used_heap_size - before);
  }
  const least = Math.min(...grown.filter((bytes) => bytes >= 0));
  if (!(least < 8 * steps)) throw new Error(`${steps} steps leave ${least} bytes or more`);
}
