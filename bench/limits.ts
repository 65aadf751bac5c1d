// What the machine can do: passes over the memory of a case that compute nothing or next to it, by the engine's threads.
//
//   copies          the logits into the gradient: the yardstick of the targets
//   necessary       logits and target read, then the gradient written: no program moves less
//   two passes      logits and target read, then logits and target read again while the gradient is written. Every coefficient of
//                   the gradient needs all sums of its sample, so that a program that keeps nothing between its passes moves this.
//                   The samples go through both passes a few at a time, while the caches hold them
//   kept            what a call moves that keeps its probabilities where the gradient goes, for such cases: the target read and the
//                   logits copied there, then the target read again and the copy replaced, all samples in turn as above
//   exponentials    of float32 logits, read, and written into the gradient: the least arithmetic of a softmax or sigmoid
//
// All write the same gradient and read the same tensors as the call beside them: they find the same caches.
import { setThreads, simdTarget } from 'warpdice';
import { native } from '../dist/native/load.js';
import { keeps } from './bounds.js';
import { cacheMebibytes } from './cases.js';
import { limitNames } from './names.js';
import { bytesOf, type Problem, wipe } from './problem.js';
import type { Contender } from './visits.js';

export function limitsOf(problem: Problem, threads: number): Contender[] {
  const { N, C, S, logits, target, out } = problem;
  const [from, labels, to] = [logits, target, out.grad].map(({ data }) => bytesOf(data)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const parts = partsOf(problem, from, labels, to);
  const sums = { logits: wordSum(from), target: wordSum(labels) };
  let read = 0;

  const limit = (name: string, run: () => void, fault: () => string | undefined): Contender => ({
    name,
    kind: 'limit',
    elements: logits.size,
    enter: () => setThreads(threads),
    run,
    fault: () => {
      wipe(out);
      read = 0;
      run();
      return fault();
    },
  });
  const copied = () => (to.equals(from) ? undefined : 'a wrong copy');
  const filled = () => (to.equals(Buffer.alloc(to.length, 1)) ? undefined : 'a wrong write');
  const inverted = () =>
    to.every((byte, i) => byte === (~from[i] & 255)) ? undefined : 'a wrong rewrite';
  const readTarget = () => (read === sums.target ? undefined : 'a wrong read');
  const readAll = () => (read === (sums.logits + sums.target) >>> 0 ? undefined : 'a wrong read');

  const copy = (streaming: boolean) => () => native.copy(to, from, streaming);
  const write = (streaming: boolean) => () => native.fill(to, 1, streaming);
  const readInputs = () => {
    read = (native.read(from) + native.read(labels)) >>> 0;
  };
  const necessary = (streaming: boolean) => () => {
    readInputs();
    native.fill(to, 1, streaming);
  };
  const twoPasses = (streaming: boolean) => () => {
    read = 0;
    for (const part of parts) {
      read = (read + native.read(part.from) + native.read(part.labels)) >>> 0;
      native.read(part.labels);
      native.copy(part.to, part.from, streaming);
    }
  };
  const keptPasses = () => {
    read = 0;
    for (const part of parts) {
      read = (read + native.read(part.labels)) >>> 0;
      native.copy(part.to, part.from, false);
      native.read(part.labels);
      native.invert(part.to);
    }
  };
  const exponentials = (streaming: boolean) => () =>
    native.exponentials(out.grad.data as Float32Array, logits.data as Float32Array, streaming);
  const exps = [
    limit(limitNames.exp, exponentials(false), () => exponentialFault(problem)),
    limit(limitNames.streamExp, exponentials(true), () => exponentialFault(problem)),
  ];
  return [
    limit(limitNames.memcpy, copy(false), copied),
    limit(limitNames.streamCopy, copy(true), copied),
    limit(limitNames.read, readInputs, readAll),
    limit(limitNames.write, write(false), filled),
    limit(limitNames.streamWrite, write(true), filled),
    limit(limitNames.necessary, necessary(false), () => readAll() ?? filled()),
    limit(limitNames.streamNecessary, necessary(true), () => readAll() ?? filled()),
    limit(limitNames.twoPasses, twoPasses(false), () => readAll() ?? copied()),
    limit(limitNames.streamTwoPasses, twoPasses(true), () => readAll() ?? copied()),
    ...(keeps([N, C, S], problem.case, simdTarget())
      ? [limit(limitNames.kept, keptPasses, () => readTarget() ?? inverted())]
      : []),
    ...(problem.case.dtype === 'float32' ? exps : []),
  ];
}

function exponentialFault({ logits, out }: Problem): string | undefined {
  const [from, to] = [logits.data, out.grad.data] as [Float32Array, Float32Array];
  for (let i = 0; i < to.length; i++) {
    const right = Math.exp(-Math.abs(from[i]));
    if (!(Math.abs(to[i] - right) <= 1e-6 * right)) return `a wrong exponential at ${i}`;
  }
  return undefined;
}

/** As many samples at a time as have logits and gradient of half the cache; at least one. All of them when it holds them. */
function partsOf({ N }: Problem, from: Buffer, labels: Buffer, to: Buffer) {
  const mebibytes = (from.length + to.length) / 2 ** 20;
  const atOnce =
    mebibytes <= cacheMebibytes
      ? N
      : Math.max(1, Math.floor(((cacheMebibytes / 2) * N) / mebibytes));
  const slice = (bytes: Buffer, n: number) =>
    bytes.subarray((bytes.length / N) * n, (bytes.length / N) * Math.min(N, n + atOnce));
  const parts = [];
  for (let n = 0; n < N; n += atOnce) {
    parts.push({ from: slice(from, n), labels: slice(labels, n), to: slice(to, n) });
  }
  return parts;
}

function wordSum(bytes: Buffer): number {
  const whole = bytes.length - (bytes.length % 4);
  let sum = 0;
  for (const word of new Uint32Array(bytes.buffer, bytes.byteOffset, whole / 4))
    sum = (sum + word) >>> 0;
  for (let i = whole; i < bytes.length; i++) sum = (sum + (bytes[i] << ((i % 4) * 8))) >>> 0;
  return sum;
}
