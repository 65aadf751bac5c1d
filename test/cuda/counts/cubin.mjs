// What a cubin, nvcc's machine code for one architecture, says of its kernels; nvdisasm puts the instructions into words.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The sections of an ELF file. */
function sectionsOf(file) {
  const at = Number(file.readBigUInt64LE(40));
  const count = file.readUInt16LE(60);
  const headers = Array.from({ length: count }, (_, i) => {
    const header = file.subarray(at + 64 * i, at + 64 * (i + 1));
    const begin = Number(header.readBigUInt64LE(24));
    const holds = header.readUInt32LE(4) !== 8; // 8: takes memory but has no bytes
    const bytes = file.subarray(begin, holds ? begin + Number(header.readBigUInt64LE(32)) : begin);
    return { name: header.readUInt32LE(0), bytes };
  });
  const names = headers[file.readUInt16LE(62)].bytes;
  return headers.map(({ name, bytes }) => ({
    name: names.toString('latin1', name, names.indexOf(0, name)),
    bytes,
  }));
}

const namedSections = (file) =>
  new Map(sectionsOf(readFileSync(file)).map((section) => [section.name, section]));

/** The values of an attribute in a section .nv.info. */
function attributesOf(info, wanted) {
  const values = [];
  for (let at = 0; at < info.length; ) {
    const [format, attribute] = [info[at], info[at + 1]];
    const size = format === 4 ? info.readUInt16LE(at + 2) : 0; // other formats have their value in these two bytes
    if (attribute === wanted) values.push(info.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return values;
}
const kArgumentBank = 0x0a;
const kRegisterCount = 0x2f;
const kFrameBytes = 0x11;

/** Map from a kernel's symbol to the value of an attribute. */
function valuesOf(sections, attribute) {
  const [symbols, names] = ['.symtab', '.strtab'].map((name) => sections.get(name).bytes);
  return new Map(
    attributesOf(sections.get('.nv.info').bytes, attribute).map((value) => {
      const name = symbols.readUInt32LE(24 * value.readUInt32LE(0));
      return [names.toString('latin1', name, names.indexOf(0, name)), value.readUInt32LE(4)];
    }),
  );
}

/** Of all kernels of a file: registers of a thread, and bytes of its local memory, where spilled registers go. */
export function usesOf(file) {
  const sections = namedSections(file);
  return [kRegisterCount, kFrameBytes].map((attribute) => [
    ...valuesOf(sections, attribute).values(),
  ]);
}

/** What the scheduler is told: bits 105 to 121 of an instruction of 16 bytes. */
function schedulingOf(code, pc) {
  const bits = Number((code.readBigUInt64LE(pc + 8) >> 41n) & 0x1ffffn);
  return {
    stall: bits & 15, // cycles until the next instruction
    sets: (bits >> 5) & 7, // the barrier that its result clears; 7: none
    setsRead: (bits >> 8) & 7, // the barrier that clears when its operands are read; 7: none
    waits: (bits >> 11) & 63, // the barriers that it waits for, a bit each
  };
}

/** { pc, guard, name, operands } of every instruction, and the places of the labels. */
export function parse(lines) {
  const instructions = [];
  const labels = new Map();
  for (const line of lines) {
    const label = /^(\S+):$/.exec(line);
    if (label) labels.set(label[1], instructions.length);
    const found =
      /^\s+\/\*([0-9a-f]{4,})\*\/\s+\{?\s*(?:@(!?U?P\w+)\s+)?([A-Z][\w.]*)\s*(.*?)\s*;/.exec(line);
    if (!found) continue;
    const [, pc, guard, name, rest] = found;
    const operands =
      rest === '' ? [] : rest.split(/,\s*/).map((text) => text.replaceAll('.reuse', ''));
    instructions.push({ pc: Number.parseInt(pc, 16), guard, name, operands });
  }
  return { instructions, labels };
}

/** A kernel's symbol without its arguments: two compilers may spell their types differently. */
export const keyOf = (symbol) => symbol.replace(/EEv.*$/, '');

/** Map from the key of a kernel's symbol to what block.mjs needs of it. */
export function readCubin(file, nvdisasm) {
  const { stdout, status, error } = spawnSync(nvdisasm, ['-c', file], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw error ?? new Error(`${nvdisasm} failed on ${file}`);
  const sections = namedSections(file);
  const registers = valuesOf(sections, kRegisterCount);
  const kernels = new Map();
  for (const text of stdout.split(/^\s*\.section\s+\.text\./m).slice(1)) {
    const symbol = /^[\w$]+/.exec(text)[0];
    const code = sections.get(`.text.${symbol}`);
    const { instructions, labels } = parse(text.split('\n'));
    kernels.set(keyOf(symbol), {
      symbol,
      instructions: instructions.map((one) => ({ ...one, ...schedulingOf(code.bytes, one.pc) })),
      labels,
      registers: registers.get(symbol),
      argumentBase: attributesOf(
        sections.get(`.nv.info.${symbol}`).bytes,
        kArgumentBank,
      )[0].readUInt16LE(4),
      constants: new Map(
        [2, 3, 4].map((bank) => [
          bank,
          (sections.get(`.nv.constant${bank}.${symbol}`) ?? sections.get(`.nv.constant${bank}`))
            ?.bytes,
        ]),
      ),
    });
  }
  return kernels;
}
