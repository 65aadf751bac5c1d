// Reproducible sums, the option of a loss: where runs of voxels end, and where they cannot be had.
import type { NativeLossOptions } from '../../binding.js';
import { cannotCombine } from '../common/check.js';
import type { Device } from '../devices/device.js';

/** native/cpu/engine.cc: elements of a run at least, and what its voxels are a multiple of. */
const leastElements = 32768;
const alignment = 128;

/** The voxels of a run of reproducible sums. */
export function runVoxels(classes: number): number {
  const least = Math.max(1, Math.floor(leastElements / classes));
  return Math.ceil(least / alignment) * alignment;
}

/** Throws for calls whose runs follow from more than C: those on a GPU, and those without logits in memory. */
export function refuseReproducible(
  { reproducible }: NativeLossOptions,
  device: Device,
  isLinear: boolean,
): void {
  if (!reproducible) return;
  if (isLinear) throw cannotCombine('reproducible: true', 'linearLogits');
  if (device.kind === 'cpu') return;
  throw cannotCombine('reproducible: true', `tensors on ${device}`, 'it is for the CPU');
}
