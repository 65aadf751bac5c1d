// What macOS' loader would read of a library for one processor (mach-o/loader.h, Apple's cs_blobs.h), as scripts/binary-facts.mjs gives it.
import { createHash } from 'node:crypto';

const LC_SYMTAB = 0x2,
  LC_LOAD_DYLIB = 0xc,
  LC_CODE_SIGNATURE = 0x1d,
  LC_DYLD_INFO = 0x22,
  LC_DYLD_EXPORTS_TRIE = 0x33;
const N_STAB = 0xe0,
  N_TYPE = 0x0e,
  N_EXT = 1,
  N_UNDF = 0,
  DYNAMIC_LOOKUP_ORDINAL = 0xfe;
const processors = { 16777223: 'x86_64', 16777228: 'arm64' };
/** Zig's linker exports them from every library. Nothing binds to them: a symbol is looked up in the library that it was linked with. */
const ofTheLinker = ['_mh_dylib_header', '__dso_handle'];

export function machoFacts(bytes) {
  const machine = processors[bytes.readUInt32LE(4)];
  const facts = { format: 'Mach-O', machine, needs: [], imports: [], exports: [], versions: [] };
  const u32 = (at) => bytes.readUInt32LE(at);
  const textAt = (at) => bytes.toString('latin1', at, bytes.indexOf(0, at));
  let fault = 'is not signed';
  for (let i = 0, at = 32; i < u32(16); i++, at += u32(at + 4)) {
    const command = u32(at) & 0x7fffffff;
    if (command === LC_LOAD_DYLIB) facts.needs.push(textAt(at + u32(at + 8)));
    if (command === LC_SYMTAB) facts.imports.push(...undefinedSymbols(bytes, at, textAt));
    if (command === LC_DYLD_INFO) {
      for (const table of [at + 16, at + 32])
        facts.imports.push(...boundSymbols(bytes, u32(table), u32(table + 4)));
      facts.exports = exportsOf(bytes, u32(at + 40));
    }
    if (command === LC_DYLD_EXPORTS_TRIE) facts.exports = exportsOf(bytes, u32(at + 8));
    if (command === LC_CODE_SIGNATURE) fault = faultOfSignature(bytes, u32(at + 8));
  }
  // Apple silicon loads nothing without a signature; one of its own making ("ad hoc") is enough.
  return { ...facts, problems: machine === 'arm64' && fault ? [fault] : [] };
}

const plain = (name) => name.replace(/^_/, '');

/** A number of seven bits a byte, and where it ends. */
function uleb128(bytes, at) {
  let [value, shift, end] = [0, 0, at];
  for (; ; shift += 7) {
    value += (bytes[end] & 0x7f) << shift;
    if (bytes[end++] < 0x80) return [value, end];
  }
}

/** Functions that are looked up in whatever has loaded the library (Node's own), as Apple's linker notes them. */
function undefinedSymbols(bytes, at, textAt) {
  const [symbols, count, strings] = [8, 12, 16].map((offset) => bytes.readUInt32LE(at + offset));
  const names = [];
  for (let symbol = symbols; symbol < symbols + 16 * count; symbol += 16) {
    const type = bytes[symbol + 4];
    const imported = (type & N_STAB) === 0 && (type & N_EXT) !== 0 && (type & N_TYPE) === N_UNDF;
    if (imported && bytes[symbol + 7] === DYNAMIC_LOOKUP_ORDINAL)
      names.push(plain(textAt(strings + bytes.readUInt32LE(symbol))));
  }
  return names;
}

/** The same as Zig's linker notes them: in a table of orders to bind, of which the upper half of a byte says which. */
function boundSymbols(bytes, begin, size) {
  const SET_ORDINAL = 0x10,
    SET_SPECIAL = 0x30,
    FLAT_LOOKUP = 0x0e, // -2
    SET_SYMBOL = 0x40,
    BIND = 0x90,
    FOLLOWED_BY_A_NUMBER = [0x20, 0x60, 0x70, 0x80, 0xa0];
  const names = [];
  let [flat, name] = [false, ''];
  for (let at = begin; at < begin + size; ) {
    const [order, low] = [bytes[at] & 0xf0, bytes[at] & 0x0f];
    at++;
    if (order === SET_ORDINAL || order === 0x20) flat = false;
    if (order === SET_SPECIAL) flat = low === FLAT_LOOKUP;
    if (order === SET_SYMBOL) {
      const end = bytes.indexOf(0, at);
      name = plain(bytes.toString('latin1', at, end));
      at = end + 1;
    }
    if (order >= BIND && flat) names.push(name);
    const numbers = order === 0xc0 ? 2 : FOLLOWED_BY_A_NUMBER.includes(order) ? 1 : 0;
    for (let i = 0; i < numbers; i++) [, at] = uleb128(bytes, at);
  }
  return names;
}

/** The names in the tree of exports that begins at `root`: what dlsym and other libraries find. */
function exportsOf(bytes, root) {
  const names = [];
  const walk = (node, name) => {
    const [size, begin] = uleb128(bytes, root + node);
    if (size > 0) names.push(plain(name));
    let at = begin + size + 1;
    for (let children = bytes[at - 1]; children > 0; children--) {
      const end = bytes.indexOf(0, at);
      const edge = bytes.toString('latin1', at, end);
      const [child, next] = uleb128(bytes, end + 1);
      walk(child, name + edge);
      at = next;
    }
  };
  walk(0, '');
  return names.filter((name) => !ofTheLinker.includes(name));
}

/** Whether the hashes in the signature are those of the pages: what the kernel compares when it reads them. */
function faultOfSignature(bytes, begin) {
  const CSMAGIC_EMBEDDED_SIGNATURE = 0xfade0cc0,
    CSMAGIC_CODEDIRECTORY = 0xfade0c02,
    CS_HASHTYPE_SHA256 = 2;
  const u32 = (at) => bytes.readUInt32BE(at);
  if (u32(begin) !== CSMAGIC_EMBEDDED_SIGNATURE) return 'has a signature that cannot be read';
  const blobs = Array.from({ length: u32(begin + 8) }, (_, i) => begin + u32(begin + 16 + 8 * i));
  const directory = blobs.find((at) => u32(at) === CSMAGIC_CODEDIRECTORY);
  if (directory === undefined || bytes[directory + 37] !== CS_HASHTYPE_SHA256)
    return 'has a signature without SHA-256';
  const [hashes, slots, limit] = [16, 28, 32].map((offset) => u32(directory + offset));
  const [size, page] = [bytes[directory + 36], 2 ** bytes[directory + 39]];
  if (slots !== Math.ceil(limit / page)) return 'has a signature of a part';
  for (let i = 0; i < slots; i++) {
    const content = bytes.subarray(i * page, Math.min((i + 1) * page, limit));
    const at = directory + hashes + i * size;
    const hash = createHash('sha256').update(content).digest().subarray(0, size);
    if (!hash.equals(bytes.subarray(at, at + size)))
      return `was changed after it was signed, page ${i}`;
  }
  return undefined;
}
