/**
 * The private contract between lib/ and the addon (native/node/addon.cc). Positional and numeric, because it is called
 * every training step; lib/ gives it names. Every array is checked for its byte length, and outputs for overlaps.
 */

/** Codes of `DType` in native/math/types.h. */
export type DTypeCode = 0 | 1 | 2 | 3 | 4 | 5 | 6;

export interface NativeLossOptions {
  /** 0 Dice, 1 Jaccard, 2 Tversky, 3 generalized Dice, 4 generalized Wasserstein Dice */
  kind: number;
  /** 0 none, 1 power, 2 log, 3 log-cosh: `Transform` of native/math/finalize.h. Default 0. */
  transform?: number;
  /** Of the transform, above 0. Default 1. */
  gamma?: number;
  /** Tversky: weight of false positives. Default 0.5. */
  alpha?: number;
  /** Tversky: weight of false negatives. Default 0.5. */
  beta?: number;
  /** Generalized Dice: 0 square, 1 simple, 2 uniform. Default 0. */
  weighting?: number;
  /** 0 formula, 1 skip, 2 perfect, 3 worst. Default 0. */
  absent?: number;
  /** lambda_overlap. Default 1. */
  overlapFactor?: number;
  /** lambda_ce; not 0 needs an activation. Default 0. */
  crossEntropyFactor?: number;
  /** From 0 to 1. Default 0. */
  labelSmoothing?: number;
  /** lambda_focal; not 0 needs an activation. Default 0. */
  focalFactor?: number;
  /** At least 0. Default 2. */
  focalGamma?: number;
  /** 0 product, 1 minimum, 2 wasserstein (with kind 4, and only there): `Overlap` of native/math/types.h. Default 0. */
  overlap?: number;
  /** [C,C], of overlap wasserstein: M[c,j] from the target's class c to the predicted class j. */
  distances?: Float64Array;
  /** Of kind 4. Default 0. */
  backgroundIndex?: number;
  /** 0 none, 1 mean, 2 sum */
  reduction: number;
  /** 0 none, 1 sigmoid, 2 softmax */
  activation: number;
  pooled: boolean;
  background: boolean;
  squared: boolean;
  channelsLast: boolean;
  smoothNumerator: number;
  smoothDenominator: number;
  ignoreIndex: number | undefined;
  classWeights: Float64Array | undefined;
}

/** N, C, S: samples, classes, voxels. groups: N, or 1 when pooled over the batch. */
export type RunArguments = [
  /** Sum of: 1 compute the statistics, 2 finalize the value, 4 write the gradient, 8 that of a dense target. */
  steps: number,
  samples: number,
  classes: number,
  voxels: number,
  /** [N,C,S] or [N,S,C] */
  predictions: ArrayBufferView | undefined,
  predictionsType: DTypeCode,
  /** Labels [N,S], or dense like the predictions. */
  target: ArrayBufferView | undefined,
  targetType: DTypeCode,
  targetIsLabels: boolean,
  /** [N,S] */
  weight: ArrayBufferView | undefined,
  weightType: DTypeCode,
  /**
   * [groups,C,8]: `Sums` of native/math/finalize.h. Written by step 1 (optional then), else read: groups is then
   * statisticsSamples, or 1 when pooled.
   */
  statistics: Float64Array | undefined,
  /** Like value: dL/dvalue, for reduction none with step 4 or 8. */
  upstream: Float64Array | undefined,
  /** Multiplies the gradient. */
  scale: number,
  /**
   * Written by step 2: [1]. For reduction none [groups,C], or [groups] for a loss that sums over classes or has a
   * cross-entropy.
   */
  value: Float64Array | undefined,
  /** Written by step 2 when given: [groups,C]. */
  perClass: Float64Array | undefined,
  /** Written by step 4, in the layout of the predictions. */
  grad: ArrayBufferView | undefined,
  gradType: DTypeCode,
  accumulate: boolean,
  /** Written by step 2 when given: [value, 3], the overlap, cross-entropy and focal loss in it without their factors. */
  parts: Float64Array | undefined,
  /** Written by step 8, or added to with accumulate: dL/dt, in the layout and dtype of a dense float target. */
  targetGrad: ArrayBufferView | undefined,
  /** Samples of the statistics that are read, when parts were merged; 0: as many as this call has. */
  statisticsSamples: number,
  /** This call's samples are [sampleOffset, sampleOffset + samples) of the statistics' samples. */
  sampleOffset: number,
];

export interface NativeLoss {
  /** Throws `{ code: 'ERR_LABEL_RANGE', count, index, value }` for invalid target values; then nothing is written. */
  run(...args: RunArguments): void;
  /** Throws what run would before it computes anything: arrays too small, or outputs that overlap others. */
  check(...args: RunArguments): void;
  /** run off the event loop. Arrays on plain ArrayBuffers are copied, shared ones used in place. */
  runAsync(...args: RunArguments): Promise<void>;
}

export type CountArguments = [
  /** 0 argmax, 1 threshold, 2 labels */
  decision: number,
  threshold: number,
  samples: number,
  classes: number,
  voxels: number,
  channelsLast: boolean,
  /** [N,C,S] or [N,S,C]; decision labels: [N,S] */
  predictions: ArrayBufferView,
  predictionsType: DTypeCode,
  /** Labels [N,S], or dense like the predictions. */
  target: ArrayBufferView,
  targetType: DTypeCode,
  targetIsLabels: boolean,
  ignoreIndex: number | undefined,
  /** [N,S]: voxels of weight 0 are left out. */
  weight: ArrayBufferView | undefined,
  weightType: DTypeCode,
  /** Written: [N,C+1,C+1], or [N,C,2,2] for decision threshold; see native/math/counts.h. */
  counts: Float64Array,
];

export type ResampleArguments = [
  from: ArrayBufferView,
  /** Of one element: any dtype. */
  elementBytes: number,
  /** Arrays side by side: N*C; N for labels or channels last. */
  outer: number,
  /** The spatial lengths of `from`, at least one. */
  fromSizes: number[],
  /** As many, of `to`. */
  toSizes: number[],
  /** Elements that stay together: 1; C for channels last. */
  inner: number,
  /** Written: [outer, ...toSizes, inner]. */
  to: ArrayBufferView,
];

export interface CudaDevices {
  /** index: CUDA's; devices that cannot be asked are left out. */
  devices: { index: number; name: string; computeCapability: string; memoryBytes: number }[];
  /** Why there is none, in CUDA's words. */
  error: string;
  /** 13000 for CUDA 13.0; 0: no driver. */
  driverVersion: number;
  runtimeVersion: number;
}

/** A queue of work on a device. After dispose() every other use throws ERR_DISPOSED, as for all classes here. */
export interface NativeStream {
  readonly handle: bigint;
  /** When what it holds now is done; rejects with the fault that ended it. */
  done(): Promise<void>;
  synchronize(): void;
  dispose(): void;
}

export interface NativeEvent {
  record(stream: NativeStream): void;
  makeWait(stream: NativeStream): void;
  reached(): boolean;
  synchronize(): void;
  ipcHandle(): Uint8Array;
  dispose(): void;
}

/** Memory on a device. Arrays have just its size. Reads happen on the stream that used it last. */
export interface NativeBuffer {
  readonly pointer: bigint;
  readonly sizeBytes: number;
  view(offsetBytes: number, sizeBytes: number): NativeBuffer;
  ipcHandle(): { handle: Uint8Array; offsetBytes: number };
  /** With zeros. */
  fill(stream: NativeStream): void;
  /** Of what `array` holds at the call. */
  write(stream: NativeStream, array: ArrayBufferView): void;
  /** Rejects with ERR_LABEL_RANGE when the call that wrote it found invalid labels. Nobody else uses `array` meanwhile. */
  read<A extends ArrayBufferView>(array: A): Promise<A>;
  readSync(array: ArrayBufferView): void;
  /** When the work with it is done; rejects as read(). */
  settled(): Promise<void>;
  dispose(): void;
}

/** RunArguments whose arrays are NativeBuffers; then the stream, and one number on the device that scale is multiplied by. */
export type DeviceRunArguments = [
  ...args: RunArguments,
  stream: NativeStream,
  scaleBuffer: NativeBuffer | undefined,
  scaleType: DTypeCode,
  /** float32 or float64 */
  upstreamType: DTypeCode,
];

export interface NativePlan {
  /** For the same shapes, dtypes and options. */
  bind(...args: DeviceRunArguments): void;
  execute(stream: NativeStream): void;
  dispose(): void;
}

export interface NativeDeviceLoss {
  run(...args: DeviceRunArguments): void;
  /** Throws what run would before it computes anything. */
  check(...args: DeviceRunArguments): void;
  plan(...args: DeviceRunArguments): NativePlan;
}

/** There when the addon was built with CUDA, with or without a GPU. */
export interface CudaBinding {
  /** handle: of a stream that somebody else owns. */
  Stream: new (
    device: number,
    handle?: bigint,
  ) => NativeStream;
  /** interprocess: whether another process can open it, or what one exported. */
  Event: new (
    device: number,
    interprocess: boolean | Uint8Array,
  ) => NativeEvent;
  DeviceLoss: new (options: NativeLossOptions) => NativeDeviceLoss;
  /**
   * CountArguments whose arrays are NativeBuffers; `counts` in 64-bit integers, and behind them {count, index, value} of
   * invalid predictions (label maps) and of invalid targets, count 0 for none. With one, the counts are of no use.
   */
  count(...args: [...args: CountArguments, stream: NativeStream]): void;
  /** ResampleArguments whose arrays are NativeBuffers. */
  resampleNearest(...args: [...args: ResampleArguments, stream: NativeStream]): void;
  /**
   * sum += weight * value, or sum = weight * value for the first term, in float64; weight 0 adds nothing. Whoever reads
   * the sum gets the faults of the first value that has some.
   */
  addWeighted(
    sum: NativeBuffer,
    value: NativeBuffer,
    weight: number,
    first: boolean,
    stream: NativeStream,
  ): void;
  devices(): CudaDevices;
  /** free and total: the driver's. alive and peak: of this process's tensors and workspaces. */
  memory(device: number): {
    freeBytes: number;
    totalBytes: number;
    aliveBytes: number;
    peakBytes: number;
  };
  allocate(stream: NativeStream, sizeBytes: number, exportable: boolean): NativeBuffer;
  wrap(stream: NativeStream, pointer: bigint, sizeBytes: number): NativeBuffer;
  open(
    stream: NativeStream,
    handle: Uint8Array,
    offsetBytes: number,
    sizeBytes: number,
  ): NativeBuffer;
}

/** How the CPU did a call: see native/cpu/strategy.h. */
export interface NativeStrategy {
  /** Whether groups of `samplesAtOnce` samples went through steps 1 and 3 before the next group. */
  fusesSteps: boolean;
  /** Whether step 3 read the probabilities of step 1 instead of computing them again. */
  reusesProbabilities: boolean;
  /** Whether step 3 wrote around the caches. */
  streams: boolean;
  samplesAtOnce: number;
}

export interface Binding {
  Loss: new (options: NativeLossOptions) => NativeLoss;
  /** Throws `{ code: 'ERR_LABEL_RANGE', predictions, count, index, value }`; then nothing is written. */
  count(...args: CountArguments): void;
  /** The same off the event loop. Inputs on plain ArrayBuffers are copied, shared ones used in place. */
  countAsync(...args: CountArguments): Promise<void>;
  /** The nearest element along each axis: index floor(i * from / to). */
  resampleNearest(...args: ResampleArguments): void;
  setThreads(count: number): void;
  getThreads(): number;
  simdTarget(): string;
  /** 'GCC 12' or 'Clang 19': results may differ in their last bits between compilers. */
  compiler(): string;
  /** Of the last synchronous `Loss.run` of this thread; null before the first. For the benchmark and tests. */
  lastStrategy(): NativeStrategy | null;
  /** For memory that is not touched yet; does nothing where the system has none. */
  preferHugePages(array: ArrayBufferView): void;
  /** From where the array begins to the next cache line: 0 to 63. */
  bytesToLine(array: ArrayBufferView): number;
  /** Copies with the engine's threads; `streaming` bypasses the caches. For benchmarks. */
  copy(to: ArrayBufferView, from: ArrayBufferView, streaming: boolean): void;
  /** Writes the byte everywhere, in the same way. For benchmarks. */
  fill(to: ArrayBufferView, byte: number, streaming: boolean): void;
  /** to = exp(-|from|), in the same way. For benchmarks. */
  exponentials(to: Float32Array, from: Float32Array, streaming: boolean): void;
  /** Reverses every bit where it is, with the engine's threads. For benchmarks. */
  invert(to: ArrayBufferView): void;
  /** Reads everything with the engine's threads: the sum of its 32-bit words modulo 2^32, the last padded with zeros. */
  read(from: ArrayBufferView): number;
  cuda?: CudaBinding;
}
