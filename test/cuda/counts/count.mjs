// Counts what the kernels of a build issue for the cases of cases.mjs.
import { spawnSync } from 'node:child_process';
import { Block } from './block.mjs';
import { argumentOf } from './cases.mjs';
import { keyOf, readCubin } from './cubin.mjs';
import { model } from './model.mjs';
import { ofFloat, ofHalf } from './operands.mjs';

const kWarp = 32;

/** What lies in global memory: logits of a normal distribution, labels of every class, ones. */
function madeUp({ classes, dtype, labels }) {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const normal = () => 2 * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const bits = { float32: ofFloat, float16: ofHalf, bfloat16: (x) => ofFloat(x) >>> 16 }[dtype];
  const numbers = Uint32Array.from({ length: 4096 }, () => {
    return dtype === 'float32' ? bits(normal()) : ((bits(normal()) << 16) | bits(normal())) >>> 0;
  });
  const wanted = Uint32Array.from({ length: 4096 }, () =>
    Math.floor(uniform() * Math.min(255, Math.max(2, classes))),
  );
  const mixed = (i) => (Math.imul(i >>> 0, 0x9e3779b1) >>> 20) & 4095;
  return (address, bytes) => {
    const array = Math.floor(address / 2 ** 40);
    const at = address % 2 ** 40;
    if (array === 2 && labels === 'dense') return ofFloat(wanted[mixed(at)] % 2);
    if (array === 2) {
      const size = { uint8: 1, int32: 4, int64: 8 }[labels];
      let word = 0;
      for (let k = 0; k < bytes; k++) {
        if ((at + k) % size === 0) word |= wanted[mixed((at + k) / size)] << (8 * k);
      }
      return word >>> 0;
    }
    if (array === 5 || array === 6) return ofFloat(1);
    const word = numbers[mixed(at / 4)];
    return bytes < 4 ? (word >>> (8 * (at & 3))) & (2 ** (8 * bytes) - 1) : word;
  };
}

/** { [argument of a case]: [{ symbol, grid, threads, shared, arguments }] } */
export function launchesOf(program, all) {
  const { stdout, status, error } = spawnSync(program, all.map(argumentOf), {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw error ?? new Error(`${program} failed`);
  const launches = new Map();
  let current;
  for (const line of stdout.trim().split('\n')) {
    const [word, symbol, ...rest] = line.split(' ');
    if (word === 'case') {
      current = [];
      launches.set(symbol, current);
    } else if (word === 'kernel') {
      const [grid, threads, shared] = rest.slice(0, 3).map(Number);
      let bytes = Buffer.alloc(0);
      const places = [];
      for (const [hex, alignment] of rest.slice(3).map((text) => text.split('/'))) {
        const padding = -bytes.length & (Number(alignment) - 1);
        places.push(bytes.length + padding);
        bytes = Buffer.concat([bytes, Buffer.alloc(padding), Buffer.from(hex, 'hex')]);
      }
      current.push({ symbol, grid, threads, shared, arguments: bytes, places });
    } else if (word === 'refused') {
      throw new Error(`${program} cannot launch a case.`);
    } else if (word === 'rounds') {
      const launch = current.at(-1);
      const [voxels, rounds] = rest.map(Number);
      Object.assign(launch, { chunkAt: launch.places[1] + Number(symbol), voxels, rounds });
    }
  }
  return launches;
}

/**
 * How many instructions the warps of a block of teams issue, from blocks of one and of two rounds: every round issues as many as
 * the others.
 */
function issuedByRounds(kernel, launch, run) {
  const [one, two] = [1, 2].map((rounds) => {
    const bytes = Buffer.from(launch.arguments);
    bytes.writeBigInt64LE(BigInt(rounds * launch.voxels), launch.chunkAt);
    return total(run(kernel, { ...launch, arguments: bytes }).issued);
  });
  return one + (launch.rounds - 1) * (two - one);
}

const total = (issued) => issued.reduce((sum, n) => sum + n, 0);

/** cubins: files. Calls found() with each row. A case with byRounds is counted by issuedByRounds(), and not modelled. */
export function count({ cubins, nvdisasm, launches: program, cases, found }) {
  const kernels = new Map(cubins.flatMap((file) => [...readCubin(file, nvdisasm)]));
  const launches = launchesOf(program, cases);
  for (const one of cases) {
    for (const launch of launches.get(argumentOf(one))) {
      const kernelName = /statistics|gradient/.exec(launch.symbol)?.[0];
      if (!kernelName) continue;
      const kernel = kernels.get(keyOf(launch.symbol));
      if (!kernel) throw new Error(`No machine code of ${launch.symbol}.`);
      const run = (of, as) => new Block(of, as, Math.floor(launch.grid / 2), madeUp(one)).run();
      const elements = one.shape.reduce((product, size) => product * size);
      const perElement = (issued) => Number(((issued * kWarp * launch.grid) / elements).toFixed(2));
      if (one.byRounds) {
        const instructionsPerElement = perElement(issuedByRounds(kernel, launch, run));
        found({ ...one, kernel: kernelName, instructionsPerElement });
        continue;
      }
      const result = run(kernel, launch);
      const issued = total(result.issued);
      const multiplyAdds = kernel.instructions.reduce(
        (sum, { name }, i) => sum + (/^FFMA\b/.test(name) ? result.issued[i] : 0),
        0,
      );
      const { share, bound, parts, resident } = model(one, kernelName, kernel, launch, result);
      found({
        ...one,
        kernel: kernelName,
        instructionsPerElement: perElement(issued),
        multiplyAdds: Number((multiplyAdds / issued).toFixed(3)),
        registers: kernel.registers,
        likelyShareOfCopy: Number(share.toFixed(3)),
        bound,
        parts,
        resident,
        launch,
        result,
        machineCode: kernel,
      });
    }
  }
}
