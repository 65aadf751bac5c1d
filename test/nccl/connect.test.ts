/**
 * How ranks of warpdice/nccl connect: options, the library, threads and processes; and the NCCL of NVIDIA without a GPU.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Device, DiceLoss, Tensor } from '../../lib/index.js';
import { candidates } from '../../lib/nccl/find-library.js';
import {
  type Broadcaster,
  Communicator,
  type ConnectOptions,
  connect,
  uniqueId,
} from '../../lib/nccl.js';
import { closed, fake, library, ranks } from '../support/nccl.js';
import { runWell } from '../support/process.js';

const root = path.join(__dirname, '..', '..');
const env = { WARPDICE_TEST_ADDON: path.join(root, 'build/emulated/warpdice_emulated.node') };

describe('ranks', () => {
  // Worked out in docs/distributed.md.
  const expected = [
    [[0.3333], [-0.2963, -0.1481], [1, 2]],
    [[0.3333], [0.1481, -0.4444], [1, 2]],
  ];

  test.each(['threads', 'processes'])('%s', async (how) => {
    expect(JSON.parse(await runWell('nccl.mjs', { args: [how], env }))).toEqual(expected);
  });

  test('have a rank, a size, a GPU and a library', async () => {
    const all = await ranks(2);
    for (const [rank, one] of all.entries()) {
      expect(one).toMatchObject({ rank, size: 2, library: { path: library, version: '2.29.7' } });
      expect(one.device).toBe(Device.cuda(rank));
    }
    await closed(all);
  });

  /** Two ranks of this thread. Each of their calls ends when both have made it. */
  function worlds(): [Required<Broadcaster>, Required<Broadcaster>] {
    let come: { rank: number; array: ArrayLike<number>; done: () => void }[] = [];
    const call = (rank: number, array: ArrayLike<number>, merge: (both: never[]) => void) =>
      new Promise<void>((done) => {
        come.push({ rank, array, done });
        if (come.length < 2) return;
        const both = come.sort((a, b) => a.rank - b.rank);
        come = [];
        merge(both.map((one) => one.array) as never[]);
        for (const one of both) one.done();
      });
    const copy = ([from, to]: Uint8Array[]) => to?.set(from as Uint8Array);
    const add = ([a, b]: Float64Array[]) => {
      const sum = a?.map((x, i) => x + (b?.[i] as number)) as Float64Array;
      for (const array of [a, b]) array?.set(sum);
    };
    const world = (rank: number) => ({
      rank,
      size: 2,
      broadcast: (array: Uint8Array) => call(rank, array, copy),
      sum: (array: Float64Array) => call(rank, array, add),
    });
    return [world(0), world(1)];
  }
  const connected = (both: Broadcaster[], options: ConnectOptions[] = [{}, {}]) =>
    Promise.allSettled(
      both.map((world, rank) =>
        connect({ world, library, device: Device.cuda(rank), ...options[rank] }),
      ),
    );
  const reasons = (ends: PromiseSettledResult<Communicator>[]) =>
    ends.map((end) => (end.status === 'rejected' ? String(end.reason) : end.status));

  test('of a world get the id from its rank 0', async () => {
    fake.useNccl();
    const [a, b] = worlds();
    const { broadcast } = a;
    for (const both of [
      [a, b],
      [
        { rank: 0, size: 2, broadcast },
        { ...b, sum: undefined },
      ],
    ] as Broadcaster[][]) {
      const ends = await connected(both);
      const all = ends.map((end) => (end as PromiseFulfilledResult<Communicator>).value);
      expect(all.map(({ rank, size }) => [rank, size])).toEqual([
        [0, 2],
        [1, 2],
      ]);
      await closed(all);
    }
  });

  test('of a world are told at once what keeps one of them from connecting', async () => {
    fake.useNccl();
    uniqueId({ library });
    const failed = 'ncclGetUniqueId failed: a planted error (said by the fake)';
    fake.failNccl('ncclGetUniqueId', 5);
    expect(reasons(await connected(worlds()))).toEqual([
      `WarpDiceError: ${failed}`,
      `WarpDiceError: Rank 0 cannot connect: ${failed}`,
    ]);
    const elsewhere = [{ device: Device.cpu }, {}];
    const noGpu = expect.stringMatching(/^TypeError: Expected a GPU for device/);
    expect(reasons(await connected(worlds(), elsewhere))).toEqual([
      noGpu,
      expect.stringMatching(/^WarpDiceError: Rank 0 cannot connect: Expected a GPU for device/),
    ]);
    const ends = await connected(worlds(), elsewhere.reverse());
    expect(reasons(ends)).toEqual([
      'WarpDiceError: Expected all 2 ranks to connect but rank 1 cannot, for a reason that is told there',
      noGpu,
    ]);
    expect(ends[0]).toMatchObject({ reason: { code: 'ERR_NCCL' } });
    const both = await connected(worlds(), [{ device: Device.cpu }, { device: Device.cpu }]);
    expect(reasons(both)).toEqual([noGpu, noGpu]);
  });
});

test('wrong options', async () => {
  fake.useNccl();
  const id = uniqueId({ library });
  const refused = (options: unknown) => connect(options as ConnectOptions).catch((e) => e.message);
  expect(await refused({ id: 'x', rank: 0, size: 1 })).toMatch(
    /^Expected the bytes of uniqueId\(\) for id/,
  );
  expect(await refused({ id: id.subarray(1), rank: 0, size: 1 })).toMatch(
    /128 bytes for id .* 127/,
  );
  expect(await refused({ id, rank: 2, size: 2 })).toMatch(/from 0 to 1 for rank/);
  expect(await refused({ id, rank: 0 })).toMatch(/for size/);
  expect(await refused({ id, rank: 0, size: 1, timeout: 0 })).toMatch(/milliseconds for timeout/);
  expect(await refused({ id, rank: 0, size: 1, device: Device.cpu })).toMatch(/a GPU for device/);
  expect(await refused({ id, world: { broadcast() {} } })).toBe('id cannot be combined with world');
  expect(await refused({ world: {} })).toMatch(/^Expected a World of warpdice\/mpi for world/);
  expect(await refused({ id, rank: 0, size: 1, library: 3 })).toMatch(
    /a path or a name for library/,
  );
  expect(await refused({ ids: id })).toMatch(/ids/);
  expect(() => new (Communicator as never as new () => unknown)()).toThrow(
    /connect\(\) for a Communicator/,
  );
});

test('wrong tensors and statistics', async () => {
  const [one] = (await ranks(1)) as [Communicator];
  const host = Tensor.from(new Float32Array(2), [2]);
  const there = host.to(Device.cuda(1));
  expect(() => one.sum(host)).toThrow(/a tensor on cuda:0 .* for tensor/);
  expect(() => one.sum(there)).toThrow(/a tensor on cuda:0 .* for tensor/);
  const bytes = Tensor.from(new Uint8Array(2), [2]).to(one.device);
  expect(() => one.sum(bytes)).toThrow(/^Expected a tensor of floats for tensor/);
  expect(() => one.allReduce({} as never)).toThrow(/^Expected Statistics for statistics/);
  const loss = new DiceLoss({ batch: true, allReduce: one.allReduce });
  for (const x of [host, there]) {
    const message = /^Expected tensors on cuda:0 .*, the GPU of the communicator/;
    expect(() => loss.value(x, x)).toThrow(message);
    expect(() => loss.plan(x, x)).toThrow(message);
    expect(() => loss.valueAsync(x, x)).toThrow(message);
  }
  const elsewhere = new DiceLoss().statistics(there, there);
  expect(() => one.allReduce(elsewhere)).toThrow(/statistics on cuda:0 .* or on the host/);
  await one.close();
});

describe('the library', () => {
  test('that is not there, is no NCCL, or another than that of the process', () => {
    fake.useNccl();
    // Another process, since this one has opened the fake.
    const text = `const { uniqueId } = await import(${JSON.stringify(path.join(root, 'dist/nccl.js'))});
      for (const library of ['/nowhere/libnccl.so.2', 'libm.so.6'])
        try { uniqueId({ library }); } catch (error) { console.log(error.code, error.message); }`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    expect(stdout).toMatch(
      /^ERR_NCCL Found no NCCL \(\/nowhere\/libnccl\.so\.2: cannot open.*\): install it \(.*\) or say where it is/,
    );
    expect(stdout).toMatch(/Expected NCCL 2\.14 or newer but the library has no ncclGetVersion/);
    uniqueId({ library });
    for (const other of ['libother.so', '/nowhere/libnccl.so.2']) {
      expect(() => uniqueId({ library: other })).toThrow(/^Expected one NCCL in a process/);
    }
  });

  test('is looked for where the environment says', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-nccl-'));
    const lib = path.join(folder, 'lib/python3.11/site-packages/nvidia/nccl/lib');
    mkdirSync(lib, { recursive: true });
    writeFileSync(path.join(lib, 'libnccl.so.2'), '');
    expect(candidates({ VIRTUAL_ENV: folder })).toEqual([
      path.join(lib, 'libnccl.so.2'),
      'libnccl.so.2',
    ]);
    expect(candidates({ NCCL_HOME: '/nowhere' })).toEqual(['libnccl.so.2']);
    rmSync(folder, { recursive: true });
  });

  test('is not opened by an import', () => {
    const text = `await import(${JSON.stringify(path.join(root, 'dist/nccl.js'))});
      console.log(process.report.getReport().sharedObjects.join('\\n'));`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    expect(stdout).toMatch(/warpdice_emulated\.node/);
    expect(stdout).not.toMatch(/libnccl/);
  });
});

// .ci/tools installs it: PyPI's nvidia-nccl-cu13.
const cache = process.env.WARPDICE_CI_CACHE ?? path.join(os.homedir(), '.cache/warpdice-ci');
const real = path.join(cache, 'nccl/nvidia/nccl/lib/libnccl.so.2');
const whenInstalled = existsSync(real) ? test : test.skip;

whenInstalled("NVIDIA's NCCL makes ids, and says what is missing without a GPU", async () => {
  const { bytes, differs, failure } = JSON.parse(
    await runWell('nccl.mjs', { args: ['real', real], env: { ...env, NCCL_SOCKET_IFNAME: 'lo' } }),
  );
  expect({ bytes, differs }).toEqual({ bytes: 128, differs: true });
  expect(failure).toMatch(/^ERR_NCCL: (ncclCommInitRankConfig|connect) failed: /);
});
