// Executes one block of a kernel from its machine code, and counts what its warps issue.
import { meanings } from './instructions.mjs';
import { isPredicate, predicate, setPredicate, target, word } from './operands.mjs';

const kWarp = 32;
const mostSteps = 4_000_000; // of a thread

/** The place of a label that an operand names: `(.L_x_3). */
const labelIn = (text) => /`\((.*)\)/.exec(text)[1];

/** For each instruction: a function of a thread and the instruction's index, or what stops a thread. */
function compile(kernel) {
  const goTo = (label) => {
    const place = kernel.labels.get(label) ?? (label === kernel.symbol ? 0 : undefined);
    if (place === undefined) throw new Error(`No label ${label} in ${kernel.symbol}.`);
    return place;
  };
  return kernel.instructions.map((one) => {
    const [mnemonic, ...modifiers] = one.name.split('.');
    const name =
      mnemonic === 'S2UR'
        ? 'S2R'
        : mnemonic.replace(/^U(?=[A-Z])/, '').replace(/^(VOTE|LDC)U$/, '$1');
    const guard = one.guard ? predicate(one.guard) : undefined;
    const base = { name, guard };
    const condition =
      one.operands.length > 1 && isPredicate(one.operands[0])
        ? predicate(one.operands[0])
        : () => true;
    if (name === 'BRA') {
      if (modifiers.includes('DIV')) return { ...base, run: () => {} }; // no lanes have diverged
      const place = goTo(labelIn(one.operands.at(-1)));
      return { ...base, run: (t) => (condition(t) ? place : undefined) };
    }
    if (name === 'CALL') {
      const place = goTo(labelIn(one.operands.at(-1)));
      return { ...base, run: () => place };
    }
    if (name === 'RET') {
      const from = word(one.operands[0].split(' ')[0]);
      return { ...base, run: (t) => from(t) / 16 };
    }
    if (name === 'EXIT') return { ...base, stop: 'exit' };
    if (name === 'BAR') return { ...base, stop: 'barrier' };
    if (name === 'SHFL') {
      const to = target(one.operands[1]);
      const [from, by, clamp] = one.operands.slice(2, 5).map(word);
      return { ...base, stop: 'shuffle', mode: modifiers[0], to, from, by, clamp };
    }
    if (name === 'VOTE') {
      const last = predicate(one.operands.at(-1));
      const registers = one.operands
        .slice(0, -1)
        .filter((text) => !isPredicate(text))
        .map(target);
      const flags = one.operands.slice(0, -1).filter(isPredicate).map(setPredicate);
      return { ...base, stop: 'vote', mode: modifiers[0], last, registers, flags };
    }
    const meaning = meanings[name];
    if (!meaning) {
      const run = () => {
        throw new Error(`${one.name} is not known to test/cuda/counts/instructions.mjs.`);
      };
      return { ...base, run };
    }
    return { ...base, run: meaning({ ...one, name: one.name.replace(mnemonic, name) }, modifiers) };
  });
}

const programs = new WeakMap();
function programOf(kernel) {
  if (!programs.has(kernel)) programs.set(kernel, compile(kernel));
  return programs.get(kernel);
}

/** launch: { grid, threads, shared, arguments: bytes in the order of the kernel's parameters }. memory: (address, bytes) => words. */
export class Block {
  constructor(kernel, launch, index, memory) {
    this.kernel = kernel;
    this.program = programOf(kernel);
    this.index = index;
    this.memory = memory;
    this.ticket = launch.grid - 1; // of the block that ends last
    this.shared = new Uint32Array(64 * 1024);
    this.bank0 = Buffer.alloc(4096);
    for (const [first, sizes] of [
      [0, [launch.threads, 1, 1, launch.grid, 1, 1]],
      [0x360, [launch.threads, 1, 1, 0, launch.grid, 1, 1]], // from sm_100 on, where the arguments begin later
    ]) {
      for (const [i, size] of sizes.entries()) this.bank0.writeUInt32LE(size, first + 4 * i);
    }
    launch.arguments.copy(this.bank0, kernel.argumentBase);
    this.threads = Array.from({ length: launch.threads }, (_, id) => ({
      id,
      block: this,
      at: 0,
      steps: 0,
      R: new Uint32Array(257),
      U: new Uint32Array(65),
      P: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1),
      UP: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1),
      counts: new Uint32Array(this.program.length),
      trace: id === 0 ? [] : undefined,
    }));
  }

  constant(bank, offset) {
    const bytes = bank === 0 ? this.bank0 : this.kernel.constants.get(bank);
    return bytes && offset + 4 <= bytes.length ? bytes.readUInt32LE(offset) : 0;
  }
  readGlobal(t, at, bytes, put) {
    for (let next = 0; next < Math.max(1, bytes / 4); next++)
      put(this.memory(at + 4 * next, Math.min(4, bytes)), next);
    if (t.trace) t.trace.at(-1).region = Math.floor(at / 2 ** 40);
  }
  writeGlobal() {}
  readShared(_, at, bytes, put) {
    const word = this.shared[at >>> 2];
    if (bytes < 4) return put((word >>> (8 * (at & 3))) & (2 ** (8 * bytes) - 1), 0);
    for (let next = 0; next < bytes / 4; next++) put(this.shared[(at >>> 2) + next], next);
  }
  writeShared(_, at, bytes, get) {
    if (bytes < 4) {
      const [shift, mask] = [8 * (at & 3), 2 ** (8 * bytes) - 1];
      const rest = this.shared[at >>> 2] & ~(mask << shift);
      this.shared[at >>> 2] = rest | ((get(0) & mask) << shift);
      return;
    }
    for (let next = 0; next < bytes / 4; next++) this.shared[(at >>> 2) + next] = get(next);
  }

  /** Runs a thread until it meets the others or ends. Returns what it waits for. */
  advance(t) {
    const { program } = this;
    for (;;) {
      const one = program[t.at];
      t.counts[t.at]++;
      if (++t.steps > mostSteps) throw new Error(`A thread of ${this.kernel.symbol} does not end.`);
      const runs = !one.guard || one.guard(t);
      if (t.trace) t.trace.push({ index: t.at, runs, region: 0 });
      if (!runs) {
        t.at++;
        continue;
      }
      if (one.stop) return one.stop;
      t.at = one.run(t, t.at) ?? t.at + 1;
    }
  }

  /** Exchanges values among the lanes of a warp, all of which wait for that. */
  exchange(lanes) {
    const one = this.program[lanes[0].at];
    if (one.stop === 'vote') {
      let ballot = 0;
      for (const t of lanes) if (one.last(t)) ballot |= 1 << (t.id % kWarp);
      const all = lanes.every((t) => one.last(t));
      for (const t of lanes) {
        for (const to of one.registers) to(t, ballot >>> 0);
        for (const set of one.flags) set(t, one.mode === 'ALL' ? all : ballot !== 0);
      }
    } else {
      const values = new Map(lanes.map((t) => [t.id % kWarp, one.from(t)]));
      const from = {
        BFLY: (lane, by) => lane ^ by,
        // The clamp has the bits of the lane that stay.
        IDX: (lane, by, clamp) => (lane & (clamp >> 8)) | (by & ~(clamp >> 8) & (kWarp - 1)),
        UP: (lane, by) => lane - by,
        DOWN: (lane, by) => lane + by,
      }[one.mode];
      for (const t of lanes) {
        const lane = t.id % kWarp;
        one.to(t, values.get(from(lane, one.by(t), one.clamp(t))) ?? values.get(lane));
      }
    }
    for (const t of lanes) t.at++;
  }

  /** Runs the block. Returns how often its warps issue each instruction, all warps together. */
  run() {
    const waits = this.threads.map((t) => this.advance(t));
    for (;;) {
      let moved = false;
      for (let first = 0; first < waits.length; first += kWarp) {
        const lanes = this.threads
          .slice(first, first + kWarp)
          .filter((t) => /shuffle|vote/.test(waits[t.id]));
        if (lanes.length === 0) continue;
        const places = new Set(lanes.map((t) => t.at));
        for (const place of places) this.exchange(lanes.filter((t) => t.at === place));
        for (const t of lanes) waits[t.id] = this.advance(t);
        moved = true;
      }
      if (moved) continue;
      const left = this.threads.filter((t) => waits[t.id] !== 'exit');
      if (left.length === 0) break;
      for (const t of left) {
        t.at++;
        waits[t.id] = this.advance(t);
      }
    }
    const issued = new Float64Array(this.program.length);
    for (let first = 0; first < this.threads.length; first += kWarp) {
      const most = new Uint32Array(issued.length);
      for (const { counts } of this.threads.slice(first, first + kWarp)) {
        for (let i = 0; i < most.length; i++) if (counts[i] > most[i]) most[i] = counts[i];
      }
      for (let i = 0; i < most.length; i++) issued[i] += most[i];
    }
    return { issued, trace: this.threads[0].trace };
  }
}
