// warpdice/mpi: the exact loss of many processes, over the MPI of the machine or the cluster. Nothing of it is loaded until it is
// imported.
import './common/disposable.js';

export { type ConnectOptions, connect } from './mpi/connect.js';
export type { Library as MpiLibrary } from './mpi/native.js';
export { World } from './mpi/world.js';
