import type { NativeCommunicator } from '../../binding.js';
import { setDeviceAllReduce } from '../calls/all-reduce.js';
import { Statistics } from '../calls/statistics.js';
import { typeError } from '../common/check.js';
import { guard, notByNew } from '../common/own.js';
import type { Device } from '../devices/device.js';
import { callNative } from '../native/translate-error.js';
import { toTensor } from '../tensors/argument.js';
import { codeOf, floats, isFloat } from '../tensors/dtype.js';
import { Tensor } from '../tensors/tensor.js';
import type { NcclLibrary } from './find-library.js';

/** Only this package has it, so that nobody else makes a Communicator. */
export const made = Symbol('made by connect()');

interface Place {
  rank: number;
  size: number;
  device: Device;
  library: NcclLibrary;
}

/**
 * The GPUs of a job, one of each rank: made by {@link connect}.
 *
 * Every method is a call of all ranks: each must make the same calls in the same order. Calls are enqueued on the current stream of
 * the GPU and return at once, but for the first ones, which may wait until NCCL has joined the ranks. The host never waits for a sum, and
 * never sees it. What goes wrong is found when a result is read:
 * where another rank makes another call, reading is ERR_NCCL_MISMATCH on all ranks, and statistics are NaN. A rank that does not
 * come in time is ERR_NCCL_TIMEOUT; the kernels that wait for it are aborted, and the communicator is closed for good: later calls,
 * and reading any result of it, throw that error. Whatever fails in NCCL itself is ERR_NCCL, and closes it too.
 *
 * ```ts
 * const world = await mpi.connect(); // import * as mpi from 'warpdice/mpi'
 * const gpus = await connect({ world, device });
 * const loss = new DiceLoss({ batch: true, allReduce: gpus.allReduce });
 * // On every rank, with its own part of the batch: the loss of the whole batch, and the gradient of this part.
 * const step = loss.plan(logits, labels); // one CUDA graph, the all-reduce included
 * step.execute();
 * gpus.sum(weightsGradient); // the network's gradient, of all ranks
 * ```
 */
export class Communicator {
  /** This rank: from 0 to size - 1. */
  readonly rank: number;
  /** The number of ranks. */
  readonly size: number;
  /** The GPU of this rank. */
  readonly device: Device;
  /** NCCL: its file and version. */
  readonly library: NcclLibrary;
  /**
   * Adds the statistics of all ranks: the option `allReduce` of a loss, for all its methods, and plans. Calls of the loss must be on
   * this GPU, and add up the statistics in their stream, between steps 1 and 2. Called directly, it takes statistics on this GPU or
   * on the host, such as `loss.emptyStatistics(classes)`, and returns new ones on this GPU. The ranks pass the same samples
   * (parts of one volume) or, with `batch`, any; `samples` of the result is that of this rank.
   */
  readonly allReduce: (statistics: Statistics) => Statistics;

  readonly #native: NativeCommunicator;
  #closing: Promise<void> | undefined;

  static {
    guard(Communicator, 'a Communicator', (value) => #native in value);
  }

  /** @internal */
  constructor(maker: typeof made, native: NativeCommunicator, place: Place) {
    if (maker !== made) throw notByNew('a Communicator', 'connect()', 'Communicator');
    this.rank = place.rank;
    this.size = place.size;
    this.device = place.device;
    this.library = place.library;
    this.#native = native;
    this.allReduce = (statistics) => this.#allReduce(statistics);
    setDeviceAllReduce(this.allReduce, { device: this.device, communicator: native });
    Object.freeze(this);
  }

  /**
   * Adds the tensors of all ranks, element by element, in place: for the gradients of a network. float32, float64, float16 or
   * bfloat16; NCCL adds the last two in their own precision. Every rank gets the same bits. The tensors have equally many elements.
   *
   * @param tensor On this GPU
   * @returns the tensor
   * @throws TypeError for other tensors; WarpDiceError ERR_NCCL, ERR_NCCL_TIMEOUT, ERR_DISPOSED
   */
  sum(tensor: Tensor): Tensor {
    const checked = toTensor(tensor, 'tensor', floats);
    if (checked.device !== this.device) {
      throw typeError(`a tensor on ${this.device}`, 'tensor', checked.device);
    }
    const { dtype, size, device } = checked;
    if (!isFloat(dtype)) throw typeError('a tensor of floats', 'tensor', dtype);
    const name = `sum of ${size} ${dtype}`;
    const { buffer } = checked.storage;
    callNative(() => this.#native.addArray(buffer, codeOf(dtype), name, device.stream.native));
    return checked;
  }

  /**
   * Ends the communicator, when its work is done. Resolves when all ranks have called it. Later calls throw ERR_DISPOSED. Plans with its hook must be disposed first, because NCCL would wait for the end of their graphs. A
   * process that ends without a close may keep the other ranks from their last sums.
   *
   * @throws WarpDiceError as a rejection: ERR_NCCL while there are such plans; ERR_NCCL_TIMEOUT; the error that has closed it before
   */
  close(): Promise<void> {
    this.#closing ??= this.#close().catch((error) => {
      this.#closing = undefined;
      throw error;
    });
    return this.#closing;
  }

  async #close(): Promise<void> {
    await until(() => this.#native.idle());
    callNative(() => this.#native.beginClose());
    await until(() => this.#native.ready());
  }

  #allReduce(statistics: Statistics): Statistics {
    if (!(statistics instanceof Statistics && Statistics.isWhole(statistics))) {
      throw typeError('Statistics', 'statistics', statistics);
    }
    const { shape, signature, sums, samples } = statistics;
    const own = sums instanceof Tensor ? sums : Tensor.from(sums, shape).to(this.device);
    if (own.device !== this.device) {
      throw typeError(`statistics on ${this.device} or on the host`, 'statistics', own.device);
    }
    const result = Tensor.forResult(shape, 'float64', this.device);
    const name = `allReduce of statistics [${shape.join(', ')}] (${signature})`;
    const { native: stream } = this.device.stream;
    callNative(() => this.#native.addSums(own.storage.buffer, result.storage.buffer, name, stream));
    if (own !== sums) own.dispose();
    return Statistics.make(result, shape[0], shape[1], samples, signature);
  }
}

/** Resolves when `done` returns true; rejects with what it throws. */
export async function until(done: () => boolean): Promise<void> {
  for (let pause = 1; !callNative(done); pause = Math.min(2 * pause, 20)) {
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
