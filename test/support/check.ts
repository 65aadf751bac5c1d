// Solves a problem with the library and with the reference, and compares.
import { Device } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { gradOptions, makeCase, type Spec } from './cases.js';
import { solveOnDevice } from './solve-on-device.js';
import { expectSolution } from './tolerance.js';

/** Where check() computes: on a GPU for test/cuda/gpu/suite.mjs. */
const gpu = process.env.WARPDICE_TEST_GPU === undefined ? undefined : Device.cuda(0);

/** Makes a case, solves it both ways and compares value, per-class values and gradient. */
export function check(spec: Spec): void {
  const c = makeCase(spec);
  try {
    const { dtype = 'float32', options } = spec;
    const outcome = gpu
      ? solveOnDevice(gpu, c)
      : c.loss.valueAndGrad(c.predictions, c.target, gradOptions(c));
    // Few voxels of terms rounded by a GPU leave an error of the 1 that a loss is taken from.
    const least = gpu && c.problem.S < 100 ? 10 : 1;
    expectSolution(outcome, reference(c.problem), dtype, options?.classWeights, least);
  } catch (error) {
    throw new Error(`${JSON.stringify(spec)}: ${(error as Error).message}`, { cause: error });
  }
}
