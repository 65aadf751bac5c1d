import './common/disposable.js';
import './native/environment.js';

export type { AllReduce } from './calls/all-reduce.js';
export type {
  CallOptions,
  FromStatisticsOptions,
  GradientOptions,
  LinearGradientOptions,
  LinearValueAndGradOptions,
  TargetGradientOptions,
  ValueAndGradOptions,
  ValueOptions,
  ValueOut,
} from './calls/options.js';
export { Plan } from './calls/plan.js';
export type { LinearValueAndGrad, LossValue, LossValueAndGrad } from './calls/result.js';
export { Statistics, type StatisticsJson } from './calls/statistics.js';
export { type ErrorCode, WarpDiceError } from './common/errors.js';
export type { Absent, IgnoreIndex, MetricsAbsent } from './common/shared-options.js';
export { Device, type DeviceMemory, Stream, StreamEvent } from './devices/device.js';
export { getThreads, setThreads, simdTarget } from './devices/threads.js';
export type { LinearAccumulate, LinearGrad, LinearGradOut } from './head/linear-grad.js';
export { type LinearLogits, linearLogits, type Predictions } from './head/linear-logits.js';
export type { ArgmaxOptions, ProbabilitiesOptions } from './head/predict.js';
export { CrossEntropyLoss } from './losses/cross-entropy.js';
export { DeepSupervision } from './losses/deep-supervision.js';
export { DiceLoss } from './losses/dice.js';
export { DiceCELoss } from './losses/dice-ce.js';
export { DiceFocalLoss } from './losses/dice-focal.js';
export {
  BoundaryLoss,
  type BoundaryOptions,
  type DistanceOptions,
} from './losses/direct/boundary.js';
export {
  type DirectGradOptions,
  DirectLoss,
  type DirectOptions,
} from './losses/direct/direct-loss.js';
export { HausdorffLoss, type HausdorffOptions } from './losses/direct/hausdorff.js';
export { LovaszLoss, type LovaszOptions } from './losses/direct/lovasz.js';
export { SoftClDiceLoss, type SoftClDiceOptions } from './losses/direct/soft-cldice.js';
export { TopKCrossEntropyLoss, type TopKOptions } from './losses/direct/top-k.js';
export { FocalLoss } from './losses/focal.js';
export { GeneralizedDiceLoss } from './losses/generalized-dice.js';
export { GeneralizedWassersteinDiceLoss } from './losses/generalized-wasserstein-dice.js';
export { JaccardLoss } from './losses/jaccard.js';
export { Loss } from './losses/loss.js';
export { MatthewsLoss } from './losses/matthews.js';
export type {
  CrossEntropyLossOptions,
  CrossEntropyOptions,
  FocalLossOptions,
  FocalOptions,
  GeneralizedDiceOptions,
  GeneralizedWassersteinDiceOptions,
  LossOptions,
  MatthewsOptions,
  PlainLossOptions,
  TverskyOptions,
  UnifiedFocalOptions,
} from './losses/options.js';
export type {
  DeepSupervisionOptions,
  LinearScalesAndGradsOptions,
  ScalesAndGradsOptions,
  ScalesOptions,
  ScalesValue,
} from './losses/scales-options.js';
export { TverskyLoss } from './losses/tversky.js';
export { UnifiedFocalLoss } from './losses/unified-focal.js';
export { ComponentMetrics, type ComponentState } from './metrics/component-metrics.js';
export type { ComponentOptions, ResolvedComponents } from './metrics/component-options.js';
export type { ComponentScoreName } from './metrics/component-scores.js';
export type { CountOptions } from './metrics/count-batch.js';
export type { ClassCounts } from './metrics/counts.js';
export type { SampleUpdateOptions } from './metrics/measure-batch.js';
export type { MetricsOptions, ResolvedMetrics } from './metrics/options.js';
export { SampleMetrics, type SampleState } from './metrics/sample-metrics.js';
export type { SampleOptions } from './metrics/sample-options.js';
export type { Average, ScoreName } from './metrics/scores.js';
export { type MetricsState, SegmentationMetrics } from './metrics/segmentation-metrics.js';
export { SurfaceMetrics, type SurfaceState } from './metrics/surface-metrics.js';
export type { ResolvedSurface, SurfaceOptions } from './metrics/surface-options.js';
export type { SurfaceScoreName } from './metrics/surface-scores.js';
export {
  type Report,
  type ReportJson,
  type ReportOptions,
  report,
} from './report/report.js';
export type { ReportSummary } from './report/statistics.js';
export type { IpcHandle } from './tensors/device-storage.js';
export type { DType, Float16Like, TypedArray } from './tensors/dtype.js';
export type { DeviceTensorOptions } from './tensors/placement.js';
export {
  Tensor,
  type TensorLike,
  type TensorOptions,
} from './tensors/tensor.js';
