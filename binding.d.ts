/**
 * The private contract between lib/ and the addon (native/node/). Numbers and arrays, because it is called every training
 * step. Every array is checked for its byte length, and outputs for overlaps; lib/ checks what arguments mean.
 *
 * A call takes the values of a record (NativeCall, NativeCount, NativeResampling, NativePrediction) one by one, in an order that is written
 * down once on each side: in the function of lib/ that calls the addon with the record, and in the addon's list of names,
 * which a test compares. Words are codes: those of lib/native/codes.ts, of which the addon has the same table.
 */

/** An array of the host or, for what CudaBinding exports, memory of a device. */
export type NativeMemory = ArrayBufferView | NativeBuffer;

/** The values of a record, in the order of the addon's names for them. */
export type InOrder<Fields> = Fields[keyof Fields][];

export interface NativeContract {
  /** The names of the values that a call takes, in order. */
  arguments: { call: string[]; count: string[]; resampling: string[]; prediction: string[] };
  /** Codes by table and name. */
  codes: Record<string, Record<string, number>>;
  /** The names of the values that follow those of a count in a call of measureSurfaces. */
  surfaceArguments: string[];
}

export interface NativeLossOptions {
  /** LossKind */
  kind: number;
  /** DirectKind. Default none. Others are no function of sums: their kind is dice, and calls have the steps of a value at least. */
  direct?: number;
  /** Of DirectKind cldice, from 0 to 1000. Default 0. */
  iterations?: number;
  /** Of DirectKind cldice. Default 0. */
  smoothHarmonic?: number;
  /** Transform. Default none. */
  transform?: number;
  /** Of the transform, above 0. Default 1. */
  gamma?: number;
  /** Tversky: weight of false positives. Default 0.5. */
  alpha?: number;
  /** Tversky: weight of false negatives. Default 0.5. */
  beta?: number;
  /** Weighting, of generalized Dice; plusOne: of the Wasserstein loss. Default square. */
  weighting?: number;
  /** The largest of distances, where the loss measures from it. Default 0: from the distance to the background. */
  largestDistance?: number;
  /** Unified: the parts of the Unified Focal loss, of kind tversky and a softmax. Default none. */
  unified?: number;
  /** Of unified, from 0 to 1. Default 0.5. */
  delta?: number;
  /** AbsentPolicy. Default formula. */
  absent?: number;
  /** lambda_overlap. Default 1. */
  overlapFactor?: number;
  /** lambda_ce; not 0 needs an activation. Default 0. */
  crossEntropyFactor?: number;
  /** From 0 to 1. Default 0. */
  labelSmoothing?: number;
  /** [C], of the cross-entropy in place of classWeights. */
  entropyWeights?: Float64Array | undefined;
  /** [C] or [1], with sigmoid: multiplies the terms t*-log p of the cross-entropy. */
  positiveWeight?: Float64Array | undefined;
  /** lambda_focal; not 0 needs an activation. Default 0. */
  focalFactor?: number;
  /** At least 0. Default 2. */
  focalGamma?: number;
  /** [C] or [1], alpha: multiplies the terms of t in the focal loss; with sigmoid 1 - alpha multiplies those of 1 - t. */
  focalAlpha?: Float64Array | undefined;
  /** Overlap; wasserstein for that kind, and only there. Default product. */
  overlap?: number;
  /** [C,C], of overlap wasserstein: M[c,j] from the target's class c to the predicted class j. */
  distances?: Float64Array;
  /** Of kind wasserstein. Default 0. */
  backgroundIndex?: number;
  /** Reduction */
  reduction: number;
  /** Activation */
  activation: number;
  pooled: boolean;
  /** Whether the sums of parts add up without rounding; for the CPU. Default false. */
  reproducible?: boolean;
  background: boolean;
  squared: boolean;
  channelsLast: boolean;
  smoothNumerator: number;
  smoothDenominator: number;
  /** Several: a list of at most 16. */
  ignoreIndex: number | Float64Array | undefined;
  classWeights: Float64Array | undefined;
}

/** One call of a loss. N, C, S: samples, classes, voxels. groups: N, or 1 when pooled over the batch. */
export interface NativeCall {
  /** Sum of Steps: compute the statistics, finalize the value, write the gradient, or that of a dense target. */
  steps: number;
  samples: number;
  classes: number;
  voxels: number;
  /** [N,C,S] or [N,S,C] */
  predictions: NativeMemory | undefined;
  predictionsType: number;
  /** Labels [N,S], or dense like the predictions. */
  target: NativeMemory | undefined;
  targetType: number;
  targetIsLabels: boolean;
  /** [N,S]; weightOfClasses: a number per class and voxel, in the layout of the predictions. */
  weight: NativeMemory | undefined;
  weightType: number;
  weightOfClasses: boolean;
  /**
   * float64 [groups,C,8]: `Sums` of native/math/sums.h. Written by step statistics (optional then), else read: groups is
   * then statisticsSamples, or 1 when pooled.
   */
  statistics: NativeMemory | undefined;
  /** Samples of the statistics that are read, when parts were merged; 0: as many as this call has. */
  statisticsSamples: number;
  /** This call's samples are [sampleOffset, sampleOffset + samples) of the statistics' samples. */
  sampleOffset: number;
  /** Like value: dL/dvalue, for reduction none with a gradient. float64; on a device float32 or float64. */
  upstream: NativeMemory | undefined;
  upstreamType: number;
  /**
   * [samples of the statistics,C], or [samples,C] when pooled: how often each class of each sample counts. float64; on a device
   * float32, float64 or uint8.
   */
  pairs: NativeMemory | undefined;
  pairsType: number;
  /** Multiplies the gradient. */
  scale: number;
  /** On a device only: one float32 or float64 there that multiplies the gradient too. */
  scaleBuffer: NativeMemory | undefined;
  scaleType: number;
  /**
   * Written by step finalize, float64: [1]. For reduction none [groups,C], or [groups] for a loss that sums over classes
   * or has a cross-entropy.
   */
  value: NativeMemory | undefined;
  /** Written by step finalize when given: float64 [groups,C]. */
  perClass: NativeMemory | undefined;
  /** Written by step finalize when given: float64 [value,3], the overlap, cross-entropy and focal loss without factors. */
  parts: NativeMemory | undefined;
  /** Written by step gradient, in the layout of the predictions. */
  grad: NativeMemory | undefined;
  gradType: number;
  /** Written by step targetGradient: dL/dt, in the layout and dtype of a dense float target. */
  targetGrad: NativeMemory | undefined;
  /** Adds to what the gradients hold. */
  accumulate: boolean;
  /** On a device only: where the call is enqueued. */
  stream: NativeStream | undefined;
  /**
   * K of a head, a 1x1 convolution that makes the logits: then predictions are its features, [N,K,S] or [N,S,K], and grad is
   * theirs, which may be left out. 0: no head.
   */
  channels: number;
  /** [C,K] */
  headWeight: NativeMemory | undefined;
  /** [C] */
  headBias: NativeMemory | undefined;
  /** Of both. */
  headType: number;
  /** Written by step gradient when given. */
  headWeightGrad: NativeMemory | undefined;
  headBiasGrad: NativeMemory | undefined;
  headGradType: number;
  accumulateWeight: boolean;
  accumulateBias: boolean;
  /** Of a loss whose DirectKind knows where a voxel lies: the two or three spatial lengths, whose product is voxels. */
  sizes: number[] | undefined;
  /** As many: the distance between neighbouring voxels along each axis. */
  spacing: number[] | undefined;
}

export interface NativeLoss {
  /**
   * Throws `{ code: 'ERR_LABEL_RANGE', count, index, value, argument }`; argument, 'target' or 'predictions', holds the values.
   * For integers nothing is written. For floats outside [0, 1] the gradient is of no use, and the statistics and the value are
   * not written.
   */
  run(...call: InOrder<NativeCall>): void;
  /** Throws what run would before it computes anything: arrays too small, or outputs that overlap others. */
  check(...call: InOrder<NativeCall>): void;
  /** run off the event loop. Arrays on plain ArrayBuffers are copied, shared ones used in place. */
  runAsync(...call: InOrder<NativeCall>): Promise<void>;
}

/** One batch of the metrics. */
export interface NativeCount {
  /** Decision */
  decision: number;
  threshold: number;
  samples: number;
  classes: number;
  voxels: number;
  channelsLast: boolean;
  /** [N,C,S] or [N,S,C]; decision labels: [N,S] */
  predictions: NativeMemory;
  predictionsType: number;
  /** Labels [N,S], or dense like the predictions. */
  target: NativeMemory;
  targetType: number;
  targetIsLabels: boolean;
  /** Several: a list of at most 16. */
  ignoreIndex: number | Float64Array | undefined;
  /**
   * [N,S]: voxels of weight 0 are left out. weightOfClasses, for decision threshold: a number per class and voxel, in the
   * layout of the predictions.
   */
  weight: NativeMemory | undefined;
  weightType: number;
  weightOfClasses: boolean;
  /** Whether label maps have the shape of masks with a class axis. Two that can only be one-hot masks are refused. */
  mayBeOneHot: boolean;
  /** On a device only, where no Counts know it: whether each sample is counted by itself too. */
  bySample: boolean;
  /**
   * On a device only. Written, as 64-bit integers: the cells of native/math/counts.h; bySample the rows, without TN; then
   * a LabelFault of invalid predictions (label maps) and one of invalid targets, count 0 for none. With one, the counts
   * are of no use.
   */
  counts: NativeMemory | undefined;
  /** On a device only. */
  stream: NativeStream | undefined;
  /** As in NativeCall. */
  channels: number;
  headWeight: NativeMemory | undefined;
  headBias: NativeMemory | undefined;
  headType: number;
  /** Of the samples, '' for none: samples of one name are one sample. Not read by a device. */
  names: string[] | undefined;
}

/** What linear logits predict. */
export interface NativePrediction {
  samples: number;
  classes: number;
  voxels: number;
  channels: number;
  channelsLast: boolean;
  /** [N,K,S] or [N,S,K] */
  features: NativeMemory;
  featuresType: number;
  headWeight: NativeMemory;
  headBias: NativeMemory | undefined;
  headType: number;
  /** Activation; not read for the classes of the largest logits. */
  activation: number;
  /** The classes whose probabilities are wanted; undefined: the class of the largest logit. */
  chosen: Int32Array | undefined;
  /** Written: probabilities [N,chosen,S] or [N,S,chosen], float64 for float64 features, else float32; or classes [N,S]. */
  out: NativeMemory;
  /** Of classes: uint8 or uint16. */
  outType: number;
  /** On a device only. */
  stream: NativeStream | undefined;
}

/**
 * The counts of a data set: cells and, bySample, a row of each sample, as native/math/counts.h says. What runs off the event
 * loop adds to them there, so a read sees a batch wholly or not at all, but maybe before its promise resolves.
 */
export interface NativeCounts {
  /**
   * Counts a batch. Throws `{ code: 'ERR_LABEL_RANGE', count, index, value, argument }`, as a loss does, or
   * `{ code: 'ERR_ONE_HOT' }`; then nothing is counted.
   */
  count(...count: InOrder<NativeCount>): void;
  /** The same off the event loop. Inputs on plain ArrayBuffers are copied, shared ones used in place. */
  countAsync(...count: InOrder<NativeCount>): Promise<void>;
  /**
   * Adds what a device has written to the `counts` of NativeCount: once; or a part for each threshold; or, for rows of regions, a part for
   * each sample, counted as if it were alone and without rows. Throws as count() does.
   */
  add(counts: BigInt64Array, samples: number, mayBeOneHot: boolean, names?: string[]): void;
  /** The same off the event loop. */
  addAsync(
    counts: BigInt64Array,
    samples: number,
    mayBeOneHot: boolean,
    names?: string[],
  ): Promise<void>;
  merge(other: NativeCounts): void;
  reset(): void;
  /** Replaces all. */
  set(samples: number, cells: Float64Array, rows: Float64Array, names?: string[]): void;
  /** Returns the number of samples. Writes cells and rows, if there is room for the rows of so many samples. */
  read(cells?: Float64Array, rows?: Float64Array): number;
  /** Of the samples, '' for none. */
  names(): string[];
  /** Writes TN, FP, FN and TP of each class, [C,4]; with regions of each of them, with thresholds [thresholds,C,4]. */
  classes(to: Float64Array): void;
  /** Writes the cells of the classes, [C,C]; not for decision threshold. */
  confusion(to: Float64Array): void;
}

/** Along each axis the element that holds the middle of element i: index floor((i + 1/2) * from / to). */
export interface NativeResampling {
  from: NativeMemory;
  /** Of one element: any dtype. */
  elementBytes: number;
  /** Arrays side by side: N*C; N for labels or channels last. */
  outer: number;
  /** The spatial lengths of `from`, at least one. */
  fromSizes: number[];
  /** As many, of `to`. */
  toSizes: number[];
  /** Elements that stay together: 1; C for channels last. */
  inner: number;
  /** Written: [outer, ...toSizes, inner]. */
  to: NativeMemory;
  /** On a device only. */
  stream: NativeStream | undefined;
}

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

export interface NativePlan {
  /** For the same shapes, dtypes and options. */
  bind(...call: InOrder<NativeCall>): void;
  execute(stream: NativeStream): void;
  dispose(): void;
}

/** Its calls are those of a NativeLoss, with buffers for arrays, and are enqueued on their stream. */
export interface NativeDeviceLoss {
  run(...call: InOrder<NativeCall>): void;
  /** Throws what run would before it computes anything. */
  check(...call: InOrder<NativeCall>): void;
  plan(...call: InOrder<NativeCall>): NativePlan;
}

/** The GPUs of several processes or threads, each of which is a rank; on NCCL. */
export interface NativeCommunicator {
  /** Whether all ranks have come or, after beginClose(), whether it has ended. Throws when that failed or took too long. */
  ready(): boolean;
  /** Whether no sum is under way. */
  idle(): boolean;
  beginClose(): void;
  /** to = the sum of all ranks' `from`, float64. name: what must be the same on all ranks. */
  addSums(from: NativeBuffer, to: NativeBuffer, name: string, stream: NativeStream): void;
  /** The same in place, for floats of any dtype. */
  addArray(array: NativeBuffer, dtype: number, name: string, stream: NativeStream): void;
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
  /** With a communicator, its calls add up the statistics over its ranks. signature: of the statistics. */
  DeviceLoss: new (
    options: NativeLossOptions,
    communicator?: NativeCommunicator,
    signature?: string,
  ) => NativeDeviceLoss;
  /** Begins to wait for all ranks. id: 128 bytes of ncclUniqueId(). timeout: milliseconds, of every wait. */
  Communicator: new (
    device: number,
    ranks: number,
    rank: number,
    id: Uint8Array,
    timeout: number,
  ) => NativeCommunicator;
  /** Opens NCCL, unless this process has one open. Returns that one. */
  openNccl(path: string): { path: string; version: number };
  ncclUniqueId(): Uint8Array;
  count(...count: InOrder<NativeCount>): void;
  predictLinear(...prediction: InOrder<NativePrediction>): void;
  resampleNearest(...resampling: InOrder<NativeResampling>): void;
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
  /** Off the event loop: loads every kernel that calls on predictions of a float dtype need. */
  loadKernels(device: number, predictionsType: number): Promise<void>;
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

/** One batch of the surface metrics, on the host: the values of a NativeCount without a weight, then these. */
export interface NativeSurfaces {
  /** Of a sample: two or three. */
  sizes: number[];
  /** Of its voxels along each axis. */
  spacing: number[];
  /** Whether a surface is made of the elements that marching cubes put between voxels, instead of voxels. */
  elements: boolean;
  /** Of the quantile: from 0 to 1. */
  fraction: number;
  /** float64 [C] or [regions], or none. */
  tolerances: Float64Array | undefined;
  /** 0: boundaries are not compared. */
  boundaryWidth: number;
  /** Connectivity: 0 measures surfaces; 1 and 2 the components of voxels that share faces, or corners, edges or faces. */
  connectivity: number;
  /** The classes of each region that is measured, in place of the classes; or none. */
  regions: number[][] | undefined;
  /**
   * Written, in shared memory: the numbers of native/cpu/surface/measure.h, [N,C,14] or [N,regions,14]; for components
   * those of components.h, [N,C,8] or [N,regions,8].
   */
  rows: Float64Array;
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
  contract: NativeContract;
  Loss: new (options: NativeLossOptions) => NativeLoss;
  /** regions: the classes of each. thresholds: of decision threshold, in place of NativeCount.threshold. */
  Counts: new (
    decision: number,
    classes: number,
    bySample: boolean,
    regions?: number[][],
    thresholds?: number[],
  ) => NativeCounts;
  resampleNearest(...resampling: InOrder<NativeResampling>): void;
  predictLinear(...prediction: InOrder<NativePrediction>): void;
  /** The same off the event loop. Arrays on plain ArrayBuffers are copied, shared ones used in place. */
  predictLinearAsync(...prediction: InOrder<NativePrediction>): Promise<void>;
  setThreads(count: number): void;
  getThreads(): number;
  simdTarget(): string;
  /** 'GCC 12' or 'Clang 19': results may differ in their last bits between compilers. */
  compiler(): string;
  /** Of the last synchronous `Loss.run` of this thread; null before the first. For the benchmark and tests. */
  lastStrategy(): NativeStrategy | null;
  /** V8 counts so many bytes beside its own until it collects the holder: it does not count shared memory by itself. */
  reportMemory(holder: object, sizeBytes: number): void;
  /** For memory that is not touched yet; does nothing where the system has none. */
  preferHugePages(array: ArrayBufferView): void;
  /** Where the array's memory begins. Several SharedArrayBuffer objects can be of one memory. */
  addressOf(array: ArrayBufferView): number;
  /** From where the array begins to the next cache line: 0 to 63. */
  bytesToLine(array: ArrayBufferView): number;
  /** Values out of range are of no class here: NativeCounts.count() refuses them. */
  measureSurfaces(...values: (InOrder<NativeCount> | InOrder<NativeSurfaces>)[number][]): void;
  /** The same off the event loop. Inputs on plain ArrayBuffers are copied, shared ones used in place. */
  measureSurfacesAsync(
    ...values: (InOrder<NativeCount> | InOrder<NativeSurfaces>)[number][]
  ): Promise<void>;
  cuda?: CudaBinding;
}
