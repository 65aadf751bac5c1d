// What the system's loader would read of an addon: ELF (Linux), PE (Windows) and Mach-O (macOS).
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { architecturesOf, kernelsOf } from './cuda-facts.mjs';
import { machoFacts } from './macho-facts.mjs';

/**
 * Facts of a binary: `format`; `machine`; `needs`: the libraries; `imports`: functions that no library is named for;
 * `exports`; `versions`: the versions of glibc's symbols; `problems`: what no addon may have; `cuda`: its kernels, if it has any.
 */
export function binaryFacts(file) {
  const magic = readFileSync(file).readUInt32LE(0);
  if (magic === 0x464c457f) return elfFacts(file);
  if ((magic & 0xffff) === 0x5a4d) return peFacts(file);
  if (magic === 0xfeedfacf) return machoFacts(readFileSync(file));
  return {
    format: 'unknown',
    needs: [],
    imports: [],
    exports: [],
    versions: [],
    problems: ['is no binary'],
  };
}

function elfFacts(file) {
  const read = (...args) => execFileSync('readelf', ['-W', ...args, file], { encoding: 'utf8' });
  const problems = [];
  const dynamic = read('-d');
  for (const flag of ['NODELETE', 'NOW']) {
    if (!new RegExp(`Flags:.*\\b${flag}\\b`).test(dynamic))
      problems.push(`is not linked with ${flag}`);
  }
  if (/GNU_STACK.*RWE/.test(read('-l'))) problems.push('has an executable stack');
  const sections = read('-S');
  if (/ \.symtab /.test(sections)) problems.push('is not stripped');
  // Number, value, size, type, binding, visibility, section, name[@version].
  const symbols = [
    ...read('--dyn-syms').matchAll(/^ +\d+: \w+ +\w+ (\w+) +(\w+) +\w+ +(\w+) (\S+)/gm),
  ]
    .map(([, type, binding, section, name]) => ({ type, binding, section, name }))
    .filter(({ type }) => type !== 'SECTION');
  return {
    format: 'ELF',
    machine: /Machine: +(.*)/.exec(read('-h'))[1],
    needs: [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name),
    imports: symbols
      .filter(
        ({ section, binding, name }) =>
          section === 'UND' && binding !== 'WEAK' && !name.includes('@'),
      )
      .map(({ name }) => name),
    exports: symbols.filter(({ section }) => section !== 'UND').map(({ name }) => name),
    versions: [...read('--dyn-syms').matchAll(/@+GLIBC_(\d+\.\d+)/g)].map(([, version]) => version),
    problems,
    cuda: cudaFacts(file, sections),
  };
}

/** `sections`: as readelf lists them, with address, offset and size. */
function cudaFacts(file, sections) {
  const [, from, size] = / \.nv_fatbin +\S+ +\S+ (\S+) (\S+)/.exec(sections) ?? [];
  if (from === undefined) return undefined;
  const bytes = readFileSync(file);
  const begin = Number.parseInt(from, 16);
  const section = bytes.subarray(begin, begin + Number.parseInt(size, 16));
  return { ...architecturesOf(section), kernels: kernelsOf(bytes) };
}

function peFacts(file) {
  const text = execFileSync('objdump', ['-p', file], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28, // it lists every relocation
  });
  const table = text.split('[Ordinal/Name Pointer] Table')[1] ?? '';
  return {
    format: 'PE',
    machine: /file format (\S+)/.exec(text)[1],
    needs: [...text.matchAll(/DLL Name: (\S+)/g)].map(([, name]) => name),
    imports: [],
    exports: [...table.matchAll(/^\s*\[ *\d+\].* (\w+)$/gm)].map(([, name]) => name),
    versions: [],
    problems: [],
  };
}
