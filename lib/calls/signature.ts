// The signature of statistics: a text with the options that change their meaning.
import type { NativeLossOptions } from '../../binding.js';
import { Activation, nameOf, Overlap } from '../native/codes.js';
import { native } from '../native/load.js';

const pooled = 'pooled';

/** Whether statistics of this signature are sums over the whole batch. */
export const isPooled = (signature: string): boolean => signature.startsWith(pooled);

/** The signature of statistics of a loss with these options. Only equal signatures can be mixed. */
export function signatureOf(options: NativeLossOptions): string {
  const meaning = [
    options.pooled ? pooled : 'per sample',
    options.squared ? 'squared' : 'linear',
    `activation ${nameOf(Activation, options.activation)}`,
  ];
  if (options.crossEntropyFactor) {
    const { positiveWeight } = options;
    meaning.push(options.labelSmoothing ? 'smoothed cross-entropy' : 'cross-entropy');
    if (positiveWeight) meaning.push(`positive weight ${fingerprint(positiveWeight)}`);
  }
  if (options.focalFactor) {
    meaning.push(`focal ${options.focalGamma}`);
    if (options.focalAlpha) meaning.push(`alpha ${fingerprint(options.focalAlpha)}`);
  }
  if (options.overlap === Overlap.minimum) meaning.push('minimum');
  if (options.distances) meaning.push(`distances ${fingerprint(options.distances)}`);
  // The sums of a run have other last bits with other instructions.
  if (options.reproducible) meaning.push(`reproducible ${native.simdTarget()}`);
  return meaning.join(', ');
}

/** Eight hexadecimal digits that differ where the numbers do (FNV-1a of their bytes). */
function fingerprint(numbers: Float64Array): string {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(Float64Array.from(numbers).buffer)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}
