// One rank of a job that mpirun starts. Arguments: what to do (the names of `checks` below), ending with one that ends the process in
// its own way, if any. WARPDICE_TEST_MPI is the library, unless warpdice shall look for it.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { connect } from '../../../dist/mpi.js';

const { WARPDICE_TEST_MPI: library, WARPDICE_TEST_TIMEOUT = '20000' } = process.env;
const timeout = Number(WARPDICE_TEST_TIMEOUT);
const options = library ? { timeout, library } : { timeout };

let world;
const say = (text) => process.stdout.write(`rank ${world?.rank}: ${text}\n`);
const last = () => world.rank === world.size - 1;

/**
 * The last rank gets a signal before its call. The others are told within the time-out of their communicator, once for all. Returns
 * the number of the process that has got it.
 */
async function without(signal) {
  const { rank, size } = world;
  const numbers = new Float64Array(size);
  numbers[rank] = process.pid;
  await world.sum(numbers);
  const limited = await connect({ ...options, channel: 1, timeout: 1000 });
  if (last()) {
    process.kill(process.pid, signal);
    await sleep(3 * timeout);
    return undefined;
  }
  const begin = performance.now();
  const failure = await limited.sum(new Float64Array(12)).then(
    () => assert.fail('the sum has ended'),
    (error) => error,
  );
  assert.ok(performance.now() - begin < timeout / 2, 'the time-out is kept');
  assert.match(failure.code, signal === 'SIGSTOP' ? /^ERR_MPI_TIMEOUT$/ : /^ERR_MPI(_TIMEOUT)?$/);
  assert.match(failure.message, /sum of 12 float64.* This communicator is closed for good$/);
  const closed = { code: 'ERR_MPI', message: /an earlier call has closed it: / };
  await assert.rejects(limited.barrier(), closed);
  assert.throws(() => limited.sumSync(new Float64Array(1)), closed);
  say(`told by ${failure.code}`);
  return numbers[size - 1];
}

const checks = {
  /** Sums of every type, in and out of the frame, at once and one after the other. */
  async sums() {
    const { rank, size } = world;
    const ranks = (size * (size + 1)) / 2;
    const whole = (array) => [...array].map(Number);
    for (const length of [1, 56, 57, 1000]) {
      for (const Type of [Float32Array, Float64Array]) {
        const array = new Type(length).fill(rank + 1);
        assert.equal(await world.sum(array), array);
        assert.deepEqual(whole(array), Array(length).fill(ranks));
        assert.deepEqual(
          whole(world.sumSync(new Type(length).fill(0.5))),
          Array(length).fill(size / 2),
        );
      }
    }
    const big = new Float64Array(1 << 20).map((_, i) => i + rank);
    const more = [1, 2, 3].map((k) => world.sum(new Float64Array(100).fill(k * (rank + 1))));
    await world.sum(big);
    const expected = (i) => i * size + ranks - size;
    assert.deepEqual([big[0], big[999_999]], [expected(0), expected(999_999)]);
    for (const [k, array] of (await Promise.all(more)).entries())
      assert.equal(array[99], (k + 1) * ranks);
    assert.deepEqual([...(await world.sum(new Float64Array(0)))], []);

    // Halves: 1 + 2^-11 is no float16, but half of the ranks' sum is.
    const ofHalves = async (dtype, bits) => {
      const data = Uint16Array.from(bits);
      await world.sum({ data, shape: [data.length], dtype });
      return [...data];
    };
    if (size === 2) {
      assert.deepEqual(
        await ofHalves('float16', [0x3c00, 0x0001, 0x7bff, 0xfc00]),
        [0x4000, 0x0002, 0x7c00, 0xfc00],
      );
      assert.deepEqual(
        await ofHalves('bfloat16', [0x3f80, 0x0001, 0x7f7f]),
        [0x4000, 0x0002, 0x7f80],
      );
      // 2048 + 1 rounds to even, 2048; in float32 the third part of a sum of three is not lost.
    }
    if (size === 3) {
      const float16 = [0x6800, 0x3c00, 0x3c00][rank]; // 2048, 1, 1: in float16 2048 + 1 = 2048
      assert.deepEqual(await ofHalves('float16', [float16]), [0x6801]); // 2050
    }
  },

  async rest() {
    const { rank, size } = world;
    for (let root = 0; root < size; root++) {
      const bytes = new Uint8Array(77).fill(rank === root ? 42 : 7);
      assert.equal(await world.broadcast(bytes, root), bytes);
      assert.deepEqual(bytes, new Uint8Array(77).fill(42));
    }
    const [number] = await world.broadcast(Float64Array.of(rank + Math.PI));
    assert.equal(number, Math.PI);
    await world.barrier();

    const part = await world.split(rank % 2, size - rank);
    const ranks = Array.from({ length: size }, (_, r) => r).filter((r) => r % 2 === rank % 2);
    assert.equal(part.size, ranks.length);
    assert.equal(part.rank, ranks.reverse().indexOf(rank));
    const [sum] = await part.sum(Float64Array.of(rank));
    assert.equal(
      sum,
      ranks.reduce((a, b) => a + b, 0),
    );
    const alone = await part.split(part.rank);
    assert.deepEqual([alone.size, (await alone.sum(Float64Array.of(5)))[0]], [1, 5]);
    await alone.close();
    await part.close();
    await assert.rejects(part.barrier(), {
      code: 'ERR_DISPOSED',
      message: /open world for barrier/,
    });
  },

  /** Ranks that are not at the same call: all of them are told, and go on. */
  async mismatches() {
    const { rank, size } = world;
    if (size === 1) return;
    const first = rank === 0;
    const mismatch = {
      code: 'ERR_MPI_MISMATCH',
      message: /this one makes \w+.* and another one makes another call$/,
    };
    for (const [one, other] of [
      [() => world.sum(new Float64Array(24)), () => world.sum(new Float64Array(12))],
      [() => world.sum(new Float64Array(500)), () => world.sum(new Float64Array(12))],
      [() => world.sum(new Float64Array(12)), () => world.sum(new Float32Array(12))],
      [() => world.sum(new Float64Array(12)), () => world.broadcast(new Float64Array(12))],
      [() => world.barrier(), () => world.split(1)],
      [() => world.broadcast(new Uint8Array(9), 0), () => world.broadcast(new Uint8Array(9), 1)],
    ]) {
      await assert.rejects(first ? one() : other(), mismatch);
      assert.equal((await world.sum(Float64Array.of(1)))[0], size);
    }
    assert.throws(() => world.sumSync(new Float64Array(first ? 3 : 4)), mismatch);
    assert.equal(world.sumSync(Float64Array.of(1))[0], size);
  },

  async arguments() {
    const { size } = world;
    await assert.rejects(
      world.sum([1, 2]),
      /^TypeError: Expected a Tensor or \{ data, shape \} for array/,
    );
    await assert.rejects(
      world.sum(new Uint16Array(2)),
      /for array but received a Uint16Array of 2: for halves pass/,
    );
    await assert.rejects(
      world.sum(new Int32Array(2)),
      /^TypeError: Expected a Float32Array, .* for array but received an Int32Array/,
    );
    assert.throws(() => world.sumSync('x'), /^TypeError: .* for array but received 'x'/);
    await assert.rejects(
      world.broadcast([1]),
      /Expected a typed array for array but received \[1\]/,
    );
    await assert.rejects(
      world.broadcast(new Uint8Array(1), size),
      /^RangeError: .* for root but received/,
    );
    await assert.rejects(
      world.split(-1),
      /^RangeError: Expected an integer from 0 to 2147483647 for color but received -1/,
    );
    await assert.rejects(world.split(0, 0.5), /for key but received 0.5/);
    await assert.rejects(
      world.allReduce(undefined),
      /Expected Statistics for statistics but received undefined/,
    );
    assert.throws(
      () => world.allReduceSync({}),
      /Expected Statistics for statistics but received \{\}/,
    );
    await assert.rejects(world.gather(7), /Expected Statistics for statistics but received 7/);
    for (const [wrong, message] of [
      [
        { timeout: 0 },
        /^RangeError: Expected 1 to 2147483647 milliseconds for timeout but received 0/,
      ],
      [
        { timeout: '5' },
        /^TypeError: Expected a number of milliseconds for timeout but received '5'/,
      ],
      [{ channel: 1024 }, /for channel but received 1024/],
      [{ library: 5 }, /^TypeError: Expected a path or a name for library but received 5/],
      [{ timeOut: 5 }, /^TypeError: Unknown option 'timeOut'/],
      [
        { library: '/nowhere/libmpi.so.40' },
        /^WarpDiceError: Expected one MPI library in a process but it uses .* and received '?\/nowhere/,
      ],
    ]) {
      await assert.rejects(connect(wrong), message);
    }
    assert.equal((await world.sum(Float64Array.of(1)))[0], size);
    // An array whose memory goes away while the ranks add it.
    const gone = new Float64Array(8);
    const promise = world.sum(gone);
    structuredClone(gone, { transfer: [gone.buffer] });
    await assert.rejects(promise, /Expected the memory of array until the call has ended/);
  },

  /** The event loop is free while a rank waits for a late one. */
  async free() {
    if (last()) await sleep(150);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    await world.barrier();
    clearInterval(timer);
    if (!last()) assert.ok(ticks > 0, 'the event loop was blocked');
  },

  /** Two workers of each rank at once, which ask for their channels in different orders. */
  async workers() {
    const { rank, size } = world;
    const order = rank % 2 ? [2, 1] : [1, 2];
    const answers = await Promise.all(
      order.map(
        (channel) =>
          new Promise((resolve, reject) => {
            const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { channel } });
            worker.once('message', resolve).once('error', reject);
          }),
      ),
    );
    for (const [k, { sum, refused }] of answers.entries()) {
      assert.equal(sum, size * order[k]);
      assert.match(refused, /another thread of this process has channel 0$/);
    }
    assert.equal((await world.sum(Float64Array.of(1)))[0], size);
  },

  /** A worker is terminated while its call waits for rank 0. The call is made all the same, and another worker takes its channel. */
  async terminated() {
    const { size } = world;
    const begin = (waits) => {
      const worker = new Worker(fileURLToPath(import.meta.url), {
        workerData: { channel: 3, waits },
      });
      const message = new Promise((resolve, reject) =>
        worker.once('message', resolve).once('error', reject),
      );
      return { worker, message };
    };
    const first = begin(true);
    await first.message;
    await first.worker.terminate();
    assert.equal(await begin(false).message, size);
    assert.equal((await world.sum(Float64Array.of(1)))[0], size);
  },

  async losses() {
    const { checkLosses } = await import('./mpi-losses.mjs');
    await checkLosses(world);
  },

  async close() {
    const again = await connect(options);
    await again.barrier();
    await world.close();
    await world.close();
    await assert.rejects(world.sum(Float64Array.of(1)), { code: 'ERR_DISPOSED' });
    assert.throws(() => world.sumSync(Float64Array.of(1)), { code: 'ERR_DISPOSED' });
    assert.equal((await again.sum(Float64Array.of(1)))[0], again.size);
  },

  // --- how a job ends: what follows does not come back, or ends in errors ---

  async 'one rank never comes'() {
    if (last()) return void (await sleep(3 * timeout));
    await assert.rejects(world.sum(new Float64Array(12)), {
      code: 'ERR_MPI_TIMEOUT',
      message: /ranks in sum of 12 float64 within \d+ ms but some have not come/,
    });
    await assert.rejects(world.barrier(), {
      code: 'ERR_MPI',
      message: /an earlier call has closed it: Expected all/,
    });
    assert.throws(() => world.sumSync(new Float64Array(1)), { code: 'ERR_MPI' });
    say('told');
  },

  async 'one rank never connects'() {
    // Before connect(): see below.
  },

  async 'one rank throws'() {
    if (last()) throw new Error('this rank throws');
    await world.barrier();
    say('the barrier has ended');
  },

  async 'one rank is killed'() {
    if (last()) process.kill(process.pid, 'SIGKILL');
    await world.barrier();
    say('the barrier has ended');
  },

  /** Its job goes on, and so does what the others see of it. */
  async 'one rank is killed, alone'() {
    await without('SIGKILL');
  },

  async 'one rank is stopped'() {
    const gone = await without('SIGSTOP');
    if (gone !== undefined) process.kill(gone, 'SIGKILL'); // the launcher may not
  },

  async 'process.exit(0)'() {
    await world.barrier();
    if (last()) await sleep(300); // the others wait for it in MPI_Finalize
    say('ends');
    process.exit(0);
  },

  async 'process.exit(3)'() {
    if (last()) process.exit(3);
    await world.barrier();
  },

  /** Ends while a call is under way. */
  async 'process.exit(0) in a call'() {
    world.sum(new Float64Array(100)).catch(() => {});
    process.exit(0);
  },
};

if (!isMainThread) {
  const { channel, waits } = workerData;
  const own = await connect({ ...options, channel });
  if (waits) {
    if (own.rank > 0) own.barrier();
    parentPort.postMessage('waits');
    await new Promise(() => setInterval(() => {}, 1000));
  } else if (channel === 3) {
    if (own.rank === 0) await own.barrier();
    parentPort.postMessage((await own.sum(Float64Array.of(1)))[0]);
  } else {
    const [sum] = await own.sum(Float64Array.of(channel));
    const refused = await connect(options).then(
      () => 'not refused',
      (error) => error.message,
    );
    await assert.rejects(own.split(0), /split needs a world of channel 0/);
    parentPort.postMessage({ sum, refused });
  }
} else {
  const names = process.argv.slice(2);
  const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK ?? 0);
  if (names[0] === 'one rank never connects' && rank > 0) await sleep(3 * timeout);
  world = await connect(options);
  for (const name of names) await checks[name]();
  if (world.rank === 0) say(`ok, ${world.size} ranks, ${world.library.abi}`);
}
