// The fake NCCL (test/cuda/fake-nccl) on the emulated devices: ranks of one thread, rank r on device r.
import path from 'node:path';
import { Device } from '../../lib/index.js';
import { native } from '../../lib/native/load.js';
import { type Communicator, type ConnectOptions, connect, uniqueId } from '../../lib/nccl.js';

interface FakeNccl {
  /** Makes the library enqueue its work on the addon's fake runtime. */
  useNccl(): void;
  /** The next call of a function returns this result. 'asynchronous': what ncclCommGetAsyncError says of the communicator. */
  failNccl(name: string, result: number): void;
  /** The calls since the last time, one a line. */
  ncclLog(): string;
}

export const { fake } = native as unknown as { fake: FakeNccl };
export const library = path.resolve(__dirname, '../../build/emulated/libnccl_fake.so');

/** One communicator of each rank. */
export async function ranks(size: number, options: ConnectOptions = {}): Promise<Communicator[]> {
  fake.useNccl();
  const id = uniqueId({ library });
  const connected = await Promise.all(
    Array.from({ length: size }, (_, rank) =>
      connect({ id, rank, size, device: Device.cuda(rank), ...options }),
    ),
  );
  fake.ncclLog();
  return connected;
}

export const closed = (communicators: Communicator[]) =>
  Promise.all(communicators.map((one) => one.close()));
