import type { Tensor, TensorLike } from '../tensors/tensor.js';

/** dL/d of the parts of {@link linearLogits}, each in the shape of the part; null for a part that was left out. */
export interface LinearGrad {
  readonly features: Tensor | null;
  readonly weight: Tensor | null;
  /** null also where there is no bias. */
  readonly bias: Tensor | null;
}

/** Buffers for a {@link LinearGrad}. null leaves a part out and saves its work. Default: a new tensor. */
export interface LinearGradOut {
  /** May be the features' own memory, which is then overwritten. */
  features?: TensorLike | null;
  weight?: TensorLike | null;
  bias?: TensorLike | null;
}

/** Which parts of a {@link LinearGrad} are added to what their buffers hold. Default: none. */
export interface LinearAccumulate {
  features?: boolean;
  weight?: boolean;
  bias?: boolean;
}
