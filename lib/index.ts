import './environment.js';

export type { AllReduce } from './all-reduce.js';
export type { ClassCounts } from './counts.js';
export {
  DeepSupervision,
  type ScalesAndGradsOptions,
  type ScalesOptions,
  type ScalesValue,
} from './deep-supervision.js';
export { Device, type DeviceMemory, getThreads, setThreads, simdTarget } from './device.js';
export { DiceLoss } from './dice.js';
export { DiceCELoss } from './dice-ce.js';
export { DiceFocalLoss } from './dice-focal.js';
export type { DType, Float16Like, TypedArray } from './dtype.js';
export { type ErrorCode, WarpDiceError } from './errors.js';
export { GeneralizedDiceLoss } from './generalized-dice.js';
export { GeneralizedWassersteinDiceLoss } from './generalized-wasserstein-dice.js';
export { JaccardLoss } from './jaccard.js';
export { Loss } from './loss.js';
export { type MetricsState, SegmentationMetrics } from './metrics.js';
export type { MetricsOptions } from './metrics-options.js';
export type {
  CallOptions,
  CrossEntropyOptions,
  FocalOptions,
  GeneralizedDiceOptions,
  GeneralizedWassersteinDiceOptions,
  GradientOptions,
  LossOptions,
  TargetGradientOptions,
  TverskyOptions,
  ValueAndGradOptions,
  ValueOptions,
  ValueOut,
} from './options.js';
export { Plan } from './plan.js';
export type { LossValue, LossValueAndGrad } from './result.js';
export type { Absent, Average, ScoreName } from './scores.js';
export { Statistics, type StatisticsJson } from './statistics.js';
export type { IpcHandle } from './storage.js';
export { Stream, StreamEvent } from './stream.js';
export { type DeviceTensorOptions, Tensor, type TensorLike, type TensorOptions } from './tensor.js';
export { TverskyLoss } from './tversky.js';
