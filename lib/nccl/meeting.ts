// How the ranks of a world begin together. A rank that cannot begin says so first: the others would wait for it until their time-out.
import { type ErrorCode, WarpDiceError } from '../common/errors.js';

/** Ranks that can broadcast bytes, such as a `World` of `warpdice/mpi`. */
export interface Broadcaster {
  readonly rank: number;
  readonly size: number;
  /** Copies the array of rank 0 into those of all ranks. */
  broadcast(array: Uint8Array): Promise<unknown>;
  /** Adds the arrays of all ranks, in place. Without it only what keeps rank 0 from connecting is told to the others. */
  sum?(array: Float64Array): Promise<unknown>;
}

/** What a rank brings along. */
export interface Prepared {
  /** The id, of rank 0. */
  readonly id?: Uint8Array | undefined;
}

export const idBytes = 128;
/** A message of rank 0 is a byte, which is 1 where the id follows; else the code and the text of an error do. */
const messageBytes = 1024;

/**
 * Calls `prepare`, and resolves to its result, with the id of rank 0, when it has succeeded on all ranks. Whatever it throws is the
 * rejection on this rank; the other ranks get one that says so.
 */
export async function meet<Own extends Prepared>(
  world: Broadcaster,
  prepare: () => Own,
): Promise<Own & { id: Uint8Array }> {
  let own: Own;
  try {
    own = prepare();
  } catch (error) {
    // In vain where the other ranks are gone; the error is this one all the same.
    await exchange(world, messageOf(error), true).catch(() => {});
    throw error;
  }
  const message = new Uint8Array(messageBytes);
  if (own.id !== undefined) {
    message[0] = 1;
    message.set(own.id, 1);
  }
  await exchange(world, message, false);
  return { ...own, id: message.slice(1, 1 + idBytes) };
}

/** All ranks make the same calls of `world`, whoever has failed. Throws what this rank learns of the others. */
async function exchange(world: Broadcaster, message: Uint8Array, failed: boolean): Promise<void> {
  await world.broadcast(message);
  if (message[0] !== 1) throw errorIn(message);
  if (typeof world.sum !== 'function') return;
  const failures = new Float64Array(world.size);
  failures[world.rank] = failed ? 1 : 0;
  await world.sum(failures);
  const ranks = [...failures.keys()].filter((rank) => failures[rank] !== 0);
  if (ranks.length === 0) return;
  const words = `${ranks.length === 1 ? 'rank' : 'ranks'} ${ranks.slice(0, 10).join(', ')}`;
  throw new WarpDiceError(
    'ERR_NCCL',
    `Expected all ${world.size} ranks to connect but ${words} cannot, for a reason that is told there`,
  );
}

function messageOf(error: unknown): Uint8Array {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const known = error instanceof WarpDiceError ? code : 'ERR_NCCL';
  const bytes = new Uint8Array(messageBytes);
  new TextEncoder().encodeInto(`${known} ${message}`, bytes.subarray(1));
  return bytes;
}

function errorIn(message: Uint8Array): WarpDiceError {
  const end = message.indexOf(0, 1);
  const text = new TextDecoder().decode(message.subarray(1, end < 0 ? undefined : end));
  const space = text.indexOf(' ');
  return new WarpDiceError(
    text.slice(0, space) as ErrorCode,
    `Rank 0 cannot connect: ${text.slice(space + 1)}`,
  );
}
