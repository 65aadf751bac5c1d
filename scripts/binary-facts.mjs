// What the system's loader would read of an addon: ELF (Linux), PE (Windows) and Mach-O (macOS).
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Facts of a binary: `format`; `machine`; `needs`: the libraries; `imports`: functions that no library is named for;
 * `exports`; `versions`: the versions of glibc's symbols; `problems`: what no addon may have.
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
  if (/ \.symtab /.test(read('-S'))) problems.push('is not stripped');
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
  };
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

/** Load commands (mach-o/loader.h): what is needed, whether it is signed. */
function machoFacts(bytes) {
  const LC_LOAD_DYLIB = 0xc,
    LC_CODE_SIGNATURE = 0x1d,
    LC_SYMTAB = 0x2;
  const N_EXT = 1,
    N_TYPE = 0x0e,
    N_UNDF = 0,
    DYNAMIC_LOOKUP = 0xfe;
  const machine = { 16777223: 'x86_64', 16777228: 'arm64' }[bytes.readUInt32LE(4)];
  const facts = {
    format: 'Mach-O',
    machine,
    needs: [],
    imports: [],
    exports: [],
    versions: [],
    problems: [],
  };
  const textAt = (at) => bytes.toString('latin1', at, bytes.indexOf(0, at));
  let signed = false;
  for (let i = 0, at = 32; i < bytes.readUInt32LE(16); i++, at += bytes.readUInt32LE(at + 4)) {
    const command = bytes.readUInt32LE(at) & 0x7fffffff;
    if (command === LC_LOAD_DYLIB) facts.needs.push(textAt(at + bytes.readUInt32LE(at + 8)));
    if (command === LC_CODE_SIGNATURE) signed = true;
    if (command !== LC_SYMTAB) continue;
    const [symbols, count, strings] = [8, 12, 16].map((offset) => bytes.readUInt32LE(at + offset));
    for (let symbol = symbols; symbol < symbols + 16 * count; symbol += 16) {
      const type = bytes[symbol + 4];
      if ((type & 0xe0) !== 0 || (type & N_EXT) === 0) continue; // for debuggers, or the addon's own
      const name = textAt(strings + bytes.readUInt32LE(symbol)).replace(/^_/, '');
      if ((type & N_TYPE) !== N_UNDF) facts.exports.push(name);
      else if (bytes[symbol + 7] === DYNAMIC_LOOKUP) facts.imports.push(name);
    }
  }
  if (machine === 'arm64' && !signed) facts.problems.push('is not signed, as Apple silicon wants');
  return facts;
}
