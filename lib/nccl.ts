// warpdice/nccl: the exact loss of many GPUs, over NCCL. Nothing of it is loaded until it is imported, and no NCCL until it is used.
import './common/disposable.js';

export { Communicator } from './nccl/communicator.js';
export { type ConnectOptions, connect, uniqueId } from './nccl/connect.js';
export type { NcclLibrary } from './nccl/find-library.js';
export type { Broadcaster } from './nccl/meeting.js';
