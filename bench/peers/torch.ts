// PyTorch on the CPU, in a Python process that times itself (torch_peer.py) and takes its turns by lines of JSON.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { LossName } from '../cases/losses.js';
import { bytesOf } from '../cases/problem.js';
import { root, threadCounts } from '../measure/machine.js';
import { interleave } from '../measure/timing.js';
import { asker } from './lines.js';
import { firstLine, lacksMemory, type OpenPeers, type Peer, skip } from './peer.js';
import { pythonWithPeers } from './python.js';
import { untilAtRest } from './rest.js';

// glibc's allocator gives every large tensor back to the system, and takes it anew page by page: half of PyTorch's time.
const allocators = [
  ['tcmalloc', '/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4'],
  ['jemalloc', '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2'],
] as const;

const tuning = { seconds: 0.3, leastRounds: 5 };

interface Loaded {
  /** tensors: how many like the logits a version holds at once. */
  versions: { name: string; loss: LossName; tensors: number; within: number }[];
  torch: string;
}

export const openTorch: OpenPeers = async (problem, activation, few = false) => {
  const python = await pythonWithPeers();
  if (python === undefined) return skip('Python with the other libraries could not be made');
  const allocator = allocators.find(([, file]) => existsSync(file));
  const child = spawn(
    python,
    ['-W', 'ignore', path.join(root, 'bench', 'peers', 'torch_peer.py')],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, ...(allocator && { LD_PRELOAD: allocator[1] }) },
    },
  );
  const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-bench-'));
  const file = (name: string) => path.join(folder, name);
  const close = () => {
    process.off('exit', close);
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', close); // an interrupted run leaves nothing behind
  try {
    const ask = asker(child);
    writeFileSync(file('logits'), bytesOf(problem.logits.data));
    writeFileSync(file('labels'), bytesOf(problem.target.data));
    const { N, C, S } = problem;
    const { versions, torch } = await ask<Loaded>('load', {
      shape: [N, C, S],
      activation,
      logits: file('logits'),
      labels: file('labels'),
      libraries: !few,
    });
    const memory = allocator?.[0] ?? "the system's allocator";
    const rest = () => untilAtRest(child.pid as number);
    const processors = os.availableParallelism();
    const fastestOf = new Map<string, number>();
    const peers = versions.map(({ name, loss, tensors, within }): Peer => {
      let threads = processors;
      const timeOn = (threads: number) => async (calls: number) =>
        (await ask<{ ms: number }>('time', { name, calls, threads })).ms;
      return {
        name: `PyTorch, ${name}`,
        detail: '',
        loss,
        within,
        time: (calls) => timeOn(threads)(calls),
        rest,
        async result() {
          const tooLarge = lacksMemory(problem, tensors);
          if (tooLarge) throw new Error(tooLarge);
          const { value } = await ask<{ value: number }>('check', {
            name,
            gradient: file('grad'),
            threads,
          });
          const grad = readFileSync(file('grad'));
          return { value, grad: new Float32Array(new Uint8Array(grad).buffer) };
        },
        /**
         * The number of threads with the fastest call; they take turns. A compiled version takes that of the one that is not: it
         * would be compiled for each number.
         */
        async tune() {
          const known = fastestOf.get(name.replace(', compiled', ''));
          const counts = known ? [] : threadCounts(processors);
          const contenders = counts.map((count) => ({ time: timeOn(count), rest }));
          const times = known ? [] : await interleave(contenders, tuning);
          const fastest = times.map((own) => Math.min(...own));
          threads = known ?? counts[fastest.indexOf(Math.min(...fastest))];
          fastestOf.set(name, threads);
          this.detail = `${torch}, threads: ${threads}, ${memory}`;
        },
      };
    });
    return { peers, close };
  } catch (error) {
    close();
    return skip(`${python} with torch is not there: ${firstLine(error)}`);
  }
};
