import { Statistics } from '../calls/statistics.js';
import { checkInteger, typeError } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { guard, notByNew } from '../common/own.js';
import { callNative } from '../native/translate-error.js';
import { copyArray, makeArray } from '../tensors/allocate.js';
import type { TensorLike } from '../tensors/tensor.js';
import { type Float16Like, kindOf, lengthOf, type TypedArray } from '../tensors/typed-array.js';
import { checkNumbers, type Numbers } from './arrays.js';
import { Element, Kind, type Library, made, nativeMpi } from './native.js';

/** The largest colour, key and the like that MPI takes. */
const largest = 2 ** 31 - 1;

/** What a call of all ranks is, besides its name. */
interface Request {
  kind: number;
  name: string;
  array?: TypedArray;
  element?: number;
  first?: number;
  second?: number;
}

/**
 * The ranks of a job, or a part of them: made by {@link connect} and {@link World.split}.
 *
 * Every method is a call of all ranks: each must make the same calls in the same order, with arrays of the same length. Calls are
 * done one after the other. A call that another rank does not make at the same place is an error on all ranks (ERR_MPI_MISMATCH);
 * one that another rank does not make in time is ERR_MPI_TIMEOUT, after which all calls fail with ERR_MPI. Whatever fails in MPI
 * itself is ERR_MPI. The promises do not block the event loop; the methods whose name ends with `Sync` do, until all ranks have come.
 *
 * Arrays are copied at the call and written when it has ended: leave them alone between the two.
 *
 * ```ts
 * const world = await connect();
 * const loss = new DiceLoss({ batch: true, allReduce: world.allReduce });
 * // On every rank, with its own part of the batch: the loss of the whole batch, and the gradient of this part.
 * const { value, grad } = await loss.valueAndGradAsync(logits, labels);
 * await world.sum(weightsGradient); // the network's gradient, of all ranks
 * ```
 */
export class World {
  /** This rank: from 0 to size - 1. */
  readonly rank: number;
  /** The number of ranks. */
  readonly size: number;
  /** The MPI library: its file, what it says of itself, and its binary interface. */
  readonly library: Library;
  /**
   * Adds the statistics of all ranks: the option `allReduce` of a loss, for its `...Async` methods. Every rank gets the same bits.
   * The ranks pass the same samples (parts of one volume) or, with `batch`, any.
   */
  readonly allReduce: (statistics: Statistics) => Promise<Statistics>;
  /** {@link World.allReduce} for the other methods of a loss, and for plans. It blocks until all ranks have come. */
  readonly allReduceSync: (statistics: Statistics) => Statistics;

  readonly #communicator: number;
  readonly #timeout: number;
  readonly #splits: boolean;
  readonly #isPart: boolean;
  #closing: Promise<void> | undefined;
  /** The last call that is made of several, for which later ones wait. */
  #several: Promise<unknown> | undefined;

  static {
    guard(World, 'a World', (value) => #communicator in value);
  }

  /** splits: whether it can be split. @internal */
  constructor(
    maker: typeof made,
    communicator: number,
    timeout: number,
    library: Library,
    splits: boolean,
    isPart = false,
  ) {
    if (maker !== made) throw notByNew('a World', 'connect()', 'World');
    [this.rank, this.size] = nativeMpi().place(communicator);
    this.library = library;
    this.#communicator = communicator;
    this.#timeout = timeout;
    this.#splits = splits;
    this.#isPart = isPart;
    this.allReduce = async (statistics) => {
      const own = await onHost(statistics);
      const array = copyArray(own.data);
      return merged(own, array, await this.#call(sumOf(own, array)));
    };
    this.allReduceSync = (statistics) => {
      const own = checkStatistics(statistics, 'statistics');
      const array = copyArray(own.data);
      return merged(own, array, this.#callSync(sumOf(own, array)));
    };
    Object.freeze(this);
  }

  /**
   * Adds the arrays of all ranks, element by element, in place: for the gradients of a network. float32, float64, float16 or
   * bfloat16; the last two are added in float32 and rounded once. Every rank gets the same bits. May overlap with other work.
   *
   * @param array A typed array, or a tensor on the host; for a `Uint16Array` of halves `{ data, shape, dtype }`
   * @returns the array
   * @throws TypeError for other arrays; WarpDiceError as a rejection
   */
  async sum<T extends Float32Array | Float64Array | Float16Like | TensorLike>(
    array: T,
  ): Promise<T> {
    await this.#call(sumOfNumbers(checkNumbers(array, 'array')));
    return array;
  }

  /** {@link World.sum}. It blocks until all ranks have come. */
  sumSync<T extends Float32Array | Float64Array | Float16Like | TensorLike>(array: T): T {
    this.#callSync(sumOfNumbers(checkNumbers(array, 'array')));
    return array;
  }

  /**
   * Copies the array of rank `root` into those of all ranks, as for the first weights of a network.
   *
   * @param root 0 to size - 1; default 0
   * @returns the array
   */
  async broadcast<T extends TypedArray | Float16Like>(array: T, root = 0): Promise<T> {
    const kind = kindOf(array);
    if (kind === undefined) throw typeError('a typed array', 'array', array);
    const first = checkInteger(root, 'root', 0, this.size - 1);
    const name = `broadcast of a ${kind} of ${lengthOf(array)} from rank ${first}`;
    const bytes = { array: array as TypedArray, element: Element.byte };
    await this.#call({ kind: Kind.broadcast, name, first, ...bytes });
    return array;
  }

  /**
   * Resolves to the statistics of all ranks, in the order of the ranks, on every rank. The ranks may have different numbers of
   * samples, as `Statistics.concat` takes them.
   */
  async gather(statistics: Statistics): Promise<Statistics[]> {
    const own = await onHost(statistics);
    const several = this.#after(() => this.#gather(own));
    this.#several = several.catch(() => {});
    return several;
  }

  async #gather(own: Statistics): Promise<Statistics[]> {
    const [, classes, sums] = own.shape;
    const name = `gather of statistics of ${classes} classes (${own.signature})`;
    // Two numbers of each rank: groups and samples. The others add zeros.
    const counts = new Float64Array(2 * this.size);
    counts.set([own.shape[0], own.samples], 2 * this.rank);
    await this.#begin({ kind: Kind.sum, name, array: counts, element: Element.float64 });

    const parts = Array.from({ length: this.size }, (_, rank) => {
      const [groups, samples] = counts.subarray(2 * rank, 2 * rank + 2) as unknown as [
        number,
        number,
      ];
      return { groups, samples, size: groups * classes * sums };
    });
    const all = makeArray(
      'float64',
      parts.reduce((total, { size }) => total + size, 0),
    );
    const before = parts.slice(0, this.rank).reduce((total, { size }) => total + size, 0);
    (all as Float64Array).set(own.data, before);
    // As integers, since the bits of a number plus zeros are its bits: NaN and -0 too.
    const bits = { array: all, element: Element.int64 };
    await this.#begin({ kind: Kind.sum, name: `${name}, ${all.length} sums`, ...bits });

    let at = 0;
    return parts.map(({ groups, samples, size }) => {
      const data = (all as Float64Array).slice(at, at + size);
      at += size;
      return Statistics.make(data, groups, classes, samples, own.signature);
    });
  }

  /** Resolves when all ranks have called it. */
  async barrier(): Promise<void> {
    await this.#call({ kind: Kind.barrier, name: 'barrier' });
  }

  /**
   * Parts the ranks into worlds: those that pass the same colour. Only a world of channel 0, and parts of it, can be split.
   *
   * @param color 0 to 2^31 - 1
   * @param key The ranks of a part are in the order of their keys, then of their ranks here; 0 to 2^31 - 1, default 0
   */
  async split(color: number, key = 0): Promise<World> {
    const first = checkInteger(color, 'color', 0, largest);
    const second = checkInteger(key, 'key', 0, largest);
    if (!this.#splits) throw new TypeError('split needs a world of channel 0');
    const part = await this.#call({ kind: Kind.split, name: 'split', first, second });
    return new World(made, part, this.#timeout, this.library, true, true);
  }

  /**
   * Resolves when all ranks have called it. Later calls throw ERR_DISPOSED. Needs not be called: MPI is finalized when the process
   * ends. May be called again.
   */
  close(): Promise<void> {
    const kind = this.#isPart ? Kind.close : Kind.barrier;
    this.#closing ??= this.#call({ kind, name: 'close' }, true).then(() => {});
    return this.#closing;
  }

  // --- one call of all ranks ---

  #call(request: Request, closes = false): Promise<number> {
    this.#expectOpen(request, closes);
    return this.#after(() => this.#begin(request));
  }

  /** Calls that are made of several calls of MPI must not be mixed with others. */
  #after<Result>(begin: () => Promise<Result>): Promise<Result> {
    return this.#several === undefined ? begin() : this.#several.then(begin);
  }

  #begin(request: Request): Promise<number> {
    return this.#inAddon(request, false) as Promise<number>;
  }

  #callSync(request: Request): number {
    this.#expectOpen(request, false);
    return this.#inAddon(request, true) as number;
  }

  #inAddon(request: Request, waits: boolean): number | Promise<number> {
    const { kind, name, array, element = 0, first = 0, second = 0 } = request;
    const values = [kind, name, array, element, first, second, this.#timeout, waits] as const;
    return callNative(() => nativeMpi().call(this.#communicator, ...values));
  }

  #expectOpen({ name }: Request, closes: boolean): void {
    if (this.#closing === undefined || closes) return;
    throw new WarpDiceError(
      'ERR_DISPOSED',
      `Expected an open world for ${name} but received a closed one`,
    );
  }
}

function checkStatistics(value: unknown, name: string): Statistics {
  if (value instanceof Statistics && Statistics.isWhole(value)) return value;
  throw typeError('Statistics', name, value);
}

const onHost = async (value: unknown): Promise<Statistics> => {
  const statistics = checkStatistics(value, 'statistics');
  return statistics.device.kind === 'cpu' ? statistics : statistics.read();
};

/** The samples are added too, for statistics over the whole batch. */
function sumOf({ shape, samples, signature }: Statistics, array: TypedArray): Request {
  const name = `allReduce of statistics [${shape.join(', ')}] (${signature})`;
  return { kind: Kind.sum, name, array, element: Element.float64, first: samples };
}

function merged(own: Statistics, array: TypedArray, samples: number): Statistics {
  const [groups, classes] = own.shape;
  const count = own.pooled ? samples : own.samples;
  return Statistics.make(array as Float64Array, groups, classes, count, own.signature);
}

const sumOfNumbers = ({ data, dtype }: Numbers): Request => ({
  kind: Kind.sum,
  name: `sum of ${lengthOf(data)} ${dtype}`,
  array: data,
  element: Element[dtype],
});
