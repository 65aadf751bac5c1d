import { checkInteger, checkKeys, checkTimeout, none, typeError } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { callNative, translate } from '../native/translate-error.js';
import { openLibrary } from './find-library.js';
import { launchedRanks } from './launcher.js';
import { type Library, made, nativeMpi } from './native.js';
import { warnOfThreads } from './threads-advice.js';
import { World } from './world.js';

/** Options of {@link connect}. */
export interface ConnectOptions {
  /**
   * The most milliseconds that a call waits for the other ranks, also when the process ends: 1 to 2147483647. Default 60000.
   * Choose more than the longest time that one rank works alone, as when it validates or saves a model.
   */
  timeout?: number;
  /**
   * The file of the MPI library, or its name for the system's loader. Default: the one beside the launcher (mpirun), then those in
   * `I_MPI_ROOT`, `OPAL_PREFIX`, `MPI_HOME` and `MPI_ROOT`, then libmpi.so.40 (Open MPI), libmpi.so.12 (MPICH, Intel MPI),
   * libmpich.so.12 (Debian's MPICH) and libmpi_abi.so.1 (the standard interface of MPI 5).
   */
  library?: string;
  /**
   * The communicator: 0 to 1023. Threads of one process that connect need one each, and the same thread of every rank the same one:
   * the main thread 0, a worker its own number. It exists once all ranks have connected to it and to those below it. Default 0.
   */
  channel?: number;
}

/**
 * Starts MPI in this process, if it has not been started, and resolves when all ranks have connected. Without a launcher the world
 * is this process alone. When the process ends by itself or by `process.exit(0)`, MPI is finalized: it waits at most `timeout` for
 * the other ranks to end. An uncaught error, or any other exit status, ends all ranks, with that status.
 *
 * @throws TypeError, RangeError for wrong options; WarpDiceError as a rejection: ERR_MPI where no MPI is found, or not the
 *   launcher's own; ERR_MPI_TIMEOUT where other ranks do not connect
 */
export async function connect(options: ConnectOptions = none): Promise<World> {
  checkKeys(options, 'options', ['timeout', 'library', 'channel']);
  const timeout = checkTimeout(options.timeout);
  const channel = checkInteger(options.channel ?? 0, 'channel', 0, 1023);
  if (options.library !== undefined && typeof options.library !== 'string') {
    throw typeError('a path or a name', 'library', options.library);
  }
  const library = openLibrary(options.library);
  await started(timeout);
  await callNative(() => nativeMpi().connect(channel, `connect to channel ${channel}`, timeout));
  const world = new World(
    made,
    nativeMpi().communicatorOf(channel),
    timeout,
    library,
    channel === 0,
  );
  expectAllRanks(world.size, library);
  warnOfThreads();
  return world;
}

/** MPI_Init_thread waits for all ranks, and has no limit of its own. */
async function started(timeout: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `Expected all ranks in MPI_Init_thread within ${timeout} ms but some have not come: every rank must call connect()`;
      reject(new WarpDiceError('ERR_MPI_TIMEOUT', message));
    }, timeout);
  });
  try {
    await Promise.race([nativeMpi().start(), late]);
  } catch (error) {
    throw translate(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Under a launcher of another family each process is a world of its own: its losses would be those of its part alone. */
function expectAllRanks(size: number, { library, path }: Library): void {
  const told = launchedRanks(process.env);
  if (told === undefined || told.value === size) return;
  throw new WarpDiceError(
    'ERR_MPI',
    `Expected the ${told.value} ranks that the launcher has started (${told.name}) but MPI sees ${size}: ${library} in ${path} is not the launcher's own; start the ranks with its mpirun, or give the launcher's library, connect({ library })`,
  );
}
