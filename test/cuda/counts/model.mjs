// What share of a device copy's speed a launch could reach, from what its instructions need of each part of a GPU. A
// model of an H100: nothing here was measured.
import { traffic } from './cases.mjs';

const gpu = {
  multiprocessors: 132,
  clock: 1.755e9,
  bytesPerSecond: 3.0e12, // of a copy
  memoryLatency: 600e-9,
  registers: 65536,
  sharedBytes: 227 * 1024,
  threads: 2048,
  blocks: 32,
};

/** Cycles for which a warp's instruction takes a quarter of a multiprocessor, by the unit that executes it. */
const units = {
  alu: [
    2,
    /^(MOV|SEL|FSEL|FMNMX|[FI]SETP|IADD3|LEA|LOP3|IABS|PRMT|SHF|PLOP3|V?IMNMX|VIADD\w*|I2FP|CS2R|P2R|R2P|VOTE|R2UR)$/,
  ],
  multiply: [2, /^IMAD$/],
  double: [2, /^(D\w+)$/],
  special: [8, /^(MUFU|F2F|F2I|I2F|FLO|POPC)$/],
  pack: [2, /^F2FP$/],
};
const memory = /^(LD|LDG|LDS|STG|STS|SHFL|ATOMS|ATOMG|REDG?)$/;
const latencies = { LDS: 30, SHFL: 30, LDC: 40, MUFU: 24, F2F: 24, DADD: 16, ATOMG: 700 };

const mnemonic = (name) => name.split('.')[0];

/** Cycles until a read of an array comes back. Of the workspace a block of steps 1 and 3 reads what is near. */
const readCycles = (region) => (region < 5 ? gpu.memoryLatency * gpu.clock : 40);

/** Cycles of one warp on its own, from the stalls and barriers of its instructions. */
function cyclesAlone(kernel, trace, reads = readCycles) {
  let time = 0;
  const free = new Array(6).fill(0);
  for (const { index, runs, region } of trace) {
    const one = kernel.instructions[index];
    const name = mnemonic(one.name);
    for (let b = 0; b < 6; b++) if ((one.waits >> b) & 1) time = Math.max(time, free[b]);
    if (runs) {
      const latency = /^LDG?$/.test(name) ? reads(region) : (latencies[name] ?? 30);
      if (one.sets < 6) free[one.sets] = Math.max(free[one.sets], time + latency);
      if (one.setsRead < 6) free[one.setsRead] = Math.max(free[one.setsRead], time + 15);
      if (name === 'BAR') time += 20;
      if (name === 'MEMBAR') time += 700;
    }
    time += Math.max(1, one.stall);
  }
  return time;
}

/** The time of step 2 in seconds: that of one warp of its last block, which reads from L2 what other blocks have written. */
export const finishSeconds = (kernel, trace) => cyclesAlone(kernel, trace, () => 270) / gpu.clock;

/** The blocks that a multiprocessor runs at once. */
export function residentBlocks(registers, threads, shared) {
  const ofRegisters = Math.floor(gpu.registers / (Math.ceil(registers / 8) * 8 * threads));
  const ofShared = Math.floor(gpu.sharedBytes / (shared + 1024));
  return Math.max(
    1,
    Math.min(ofRegisters, ofShared, gpu.blocks, Math.floor(gpu.threads / threads)),
  );
}

/** The time of each part in seconds, and the share of a copy: 1 when memory is all that counts. */
export function model(one, kernelName, kernel, launch, { issued, trace }) {
  const perUnit = {};
  let all = 0;
  let moves = 0;
  for (const [i, { name }] of kernel.instructions.entries()) {
    all += issued[i];
    if (memory.test(mnemonic(name))) moves += issued[i];
    for (const [unit, [cycles, names]] of Object.entries(units)) {
      if (names.test(mnemonic(name))) perUnit[unit] = (perUnit[unit] ?? 0) + issued[i] * cycles;
    }
  }
  const elements = one.shape.reduce((product, size) => product * size);
  const resident = residentBlocks(kernel.registers, launch.threads, launch.shared);
  const busiest = Math.ceil(launch.grid / gpu.multiprocessors); // blocks of one multiprocessor
  const seconds = (cycles) => cycles / gpu.clock;
  const waves = Math.max(1, launch.grid / (gpu.multiprocessors * resident));
  const parts = {
    memory: (elements * traffic(one, kernelName)) / gpu.bytesPerSecond,
    issue: seconds((busiest * all) / 4),
    moves: seconds(busiest * moves),
    latency: seconds(cyclesAlone(kernel, trace) * waves),
  };
  for (const [unit, cycles] of Object.entries(perUnit))
    parts[unit] = seconds((busiest * cycles) / 4);
  const together = Object.values(parts).reduce((sum, part) => sum + part ** 4, 0) ** 0.25;
  const [bound] = Object.entries(parts).reduce((a, b) => (b[1] > a[1] ? b : a));
  return { share: parts.memory / together, bound, parts, resident };
}
