// What is read of a library for macOS, in made-up ones: nothing on Linux loads or lists a real one.
// Layouts: mach-o/loader.h, and cs_blobs.h for the signature.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');
const [X86_64, ARM64] = [0x0100_0007, 0x0100_000c];

const words = (...numbers: number[]) => Buffer.from(Uint32Array.from(numbers).buffer);
const bigWords = (...numbers: number[]) => words(...numbers).swap32();
const text = (string: string) => Buffer.from(`${string}\0`);
const bytes = (...parts: (number | Buffer)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : part)));

/** A file of load commands and tables; a command is made of the offset at which its tables begin. */
class Library {
  #commands: Buffer[] = [];
  #tables = Buffer.alloc(0);
  readonly #processor: number;
  constructor(processor: number) {
    this.#processor = processor;
  }

  add(command: number, table: Buffer, body: (offset: number) => Buffer): this {
    const made = body(2048 + this.#tables.length);
    this.#commands.push(words(command, 8 + made.length), made);
    this.#tables = Buffer.concat([this.#tables, table]);
    return this;
  }
  needs(name: string): this {
    const padded = Buffer.alloc(64);
    padded.write(name);
    return this.add(0xc, Buffer.alloc(0), () => bytes(words(24, 0, 0, 0), padded));
  }
  /** Symbols: name, type, and the upper byte of the description, which is a library's number or 0xfe. */
  symbols(...symbols: [string, number, number][]): this {
    let names = Buffer.from(' \0');
    const entries = symbols.map(([name, type, ordinal]) => {
      const entry = bytes(words(names.length), type, 0, 0, ordinal, words(0, 0));
      names = bytes(names, text(name));
      return entry;
    });
    const size = 16 * symbols.length;
    return this.add(2, bytes(...entries, names), (at) =>
      words(at, symbols.length, at + size, names.length),
    );
  }
  /** Zig's: orders that bind at loading, those that bind lazily, the tree of exports. */
  bound(now: Buffer, lazy: Buffer, exports: Buffer): this {
    return this.add(0x8000_0022, bytes(now, lazy, exports), (at) => {
      const [a, b] = [at + now.length, at + now.length + lazy.length];
      return words(0, 0, at, now.length, 0, 0, a, lazy.length, b, exports.length);
    });
  }
  exports(tree: Buffer): this {
    return this.add(0x8000_0033, tree, (at) => words(at, tree.length));
  }
  /** The file, which ends with a signature of itself, ad hoc. */
  signed(change: (signature: Buffer) => void = () => {}): Buffer {
    const at = 2048 + Math.ceil(this.#tables.length / 16) * 16;
    this.add(0x1d, Buffer.alloc(at - 2048 - this.#tables.length), () => words(at, 0));
    const content = this.file();
    const page = 1024;
    const slots = Math.ceil(content.length / page);
    const hashes = Array.from({ length: slots }, (_, i) =>
      createHash('sha256')
        .update(content.subarray(i * page, (i + 1) * page))
        .digest(),
    );
    const directory = bytes(
      bigWords(0xfade0c02, 44 + 32 * slots, 0x20400, 2, 44, 0, 0, slots, content.length),
      ...[32, 2, 0, 10], // of a hash: size and SHA-256; of a page: the power of two
      bigWords(0),
      ...hashes,
    );
    const signature = bytes(bigWords(0xfade0cc0, 20 + directory.length, 1, 0, 20), directory);
    change(signature);
    return bytes(content, signature);
  }
  file(): Buffer {
    const commands = Buffer.concat(this.#commands);
    const count = this.#commands.length / 2;
    const header = words(0xfeedfacf, this.#processor, 0, 6, count, commands.length, 0, 0);
    const before = Buffer.alloc(2048);
    bytes(header, commands).copy(before);
    return bytes(before, this.#tables);
  }
}

type Facts = Record<'needs' | 'imports' | 'exports' | 'problems', string[]>;
/** The facts of each file, as scripts/binary-facts.mjs gives them. */
function factsOf(files: Record<string, Buffer>): Record<string, Facts> {
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-macho-'));
  try {
    for (const [name, content] of Object.entries(files))
      writeFileSync(path.join(folder, name), content);
    const script = `import { binaryFacts } from ${JSON.stringify(path.join(root, 'scripts/binary-facts.mjs'))};
      const facts = process.argv.slice(1).map((name) => [name, binaryFacts(name)]);
      console.log(JSON.stringify(Object.fromEntries(facts)));`;
    const args = ['--input-type=module', '--eval', script, '--', ...Object.keys(files)];
    return JSON.parse(execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const uleb128 = (n: number): Buffer =>
  n < 128 ? Buffer.of(n) : bytes(0x80 | (n & 127), uleb128(n >> 7));
/** Of the tree of exports, in 64 bytes: what is said of the name that ends here, and the edges: text, number of the node. */
function node(said: Buffer, ...edges: [string, number][]): Buffer {
  const ends = edges.map(([name, to]) => bytes(text(name), uleb128(64 * to)));
  const padded = Buffer.alloc(64);
  bytes(uleb128(said.length), said, edges.length, ...ends).copy(padded);
  return padded;
}
const nothing = Buffer.alloc(0);
const place = bytes(0, uleb128(5000)); // flags, address
const tree = bytes(
  node(nothing, ['_napi_', 1], ['__', 3]),
  node(place, ['more', 2]),
  node(bytes(0, 80)),
  node(nothing, ['mh_dylib_header', 2], ['_dso_handle', 2], ['_other', 2]),
);
const exported = ['napi_', 'napi_more', '__other']; // the linker's two are left out

test('libraries, and the names that Zig binds and exports', () => {
  const FLAT = 0x3e; // looked up in all that is loaded
  const symbol = (name: string) => bytes(0x40, text(name));
  const far = [0x90, 0x01]; // 144; read as orders, 0x90 would bind
  const now = bytes(
    ...[0x11, symbol('_malloc'), 0x51, 0x72, ...far, 0x90], // of library 1
    ...[FLAT, symbol('_napi_a'), 0x72, ...far, 0x60, ...far, 0x90],
    ...[symbol('_napi_b'), 0x80, ...far, 0xc0, ...far, 0x40], // 144 times, 64 apart
    ...[0x12, symbol('_free'), 0x90, 0x3f, symbol('_main'), 0x90], // of library 2, of the program
    ...[FLAT, 0x20, FLAT, symbol('_calloc'), 0x90, 0x00], // of library 62
  );
  const lazy = bytes(FLAT, symbol('_napi_c'), 0xa0, ...far, 0x00);
  const library = new Library(X86_64).needs('/usr/lib/libSystem.B.dylib').needs('/usr/lib/libz');
  const { x86 } = factsOf({ x86: library.bound(now, lazy, tree).file() });
  expect(x86).toEqual({
    format: 'Mach-O',
    machine: 'x86_64',
    needs: ['/usr/lib/libSystem.B.dylib', '/usr/lib/libz'],
    imports: ['napi_a', 'napi_b', 'napi_c'],
    exports: exported,
    versions: [],
    problems: [], // a processor of Intel's loads it without a signature
  });
});

test("the names that Apple's linker notes", () => {
  const [UNDEFINED, DEFINED, PRIVATE, DEBUG] = [0x01, 0x0f, 0x00, 0x21];
  const library = new Library(ARM64)
    .symbols(
      ['_napi_wanted', UNDEFINED, 0xfe],
      ['_malloc', UNDEFINED, 1],
      ['_our_own', DEFINED, 0xfe],
      ['_local', PRIVATE, 0xfe],
      ['_debugged', DEBUG, 0xfe],
      ['unmangled', UNDEFINED, 0xfe],
    )
    .exports(tree);
  const { arm } = factsOf({ arm: library.signed() });
  expect(arm).toMatchObject({ machine: 'arm64', imports: ['napi_wanted', 'unmangled'] });
  expect(arm?.exports).toEqual(exported);
});

test('a signature must be there, whole, and of what the file holds', () => {
  const make = () => new Library(ARM64).needs('/usr/lib/libSystem.B.dylib').exports(tree);
  const changed = (at: number) => {
    const file = make().signed();
    file.writeUInt8(file.readUInt8(at) ^ 1, at);
    return file;
  };
  const directory = 20;
  const facts = factsOf({
    whole: make().signed(),
    unsigned: make().file(),
    first: changed(1023),
    second: changed(1024),
    last: changed(2048 + 63),
    sha1: make().signed((signature) => signature.writeUInt8(1, directory + 37)),
    part: make().signed((signature) => signature.writeUInt32BE(2, directory + 28)),
    other: make().signed((signature) => signature.writeUInt32BE(0xfade0cc1, 0)),
    without: make().signed((signature) => signature.writeUInt32BE(0xfade0c01, directory)),
    hash: make().signed((signature) => signature.fill(0, signature.length - 1)),
    nothing: Buffer.from('no library'),
  });
  const problems = Object.entries(facts).map(([name, { problems }]) => [name, ...problems]);
  expect(problems).toEqual([
    ['whole'],
    ['unsigned', 'is not signed'],
    ['first', 'was changed after it was signed, page 0'],
    ['second', 'was changed after it was signed, page 1'],
    ['last', 'was changed after it was signed, page 2'],
    ['sha1', 'has a signature without SHA-256'],
    ['part', 'has a signature of a part'],
    ['other', 'has a signature that cannot be read'],
    ['without', 'has a signature without SHA-256'],
    ['hash', 'was changed after it was signed, page 2'],
    ['nothing', 'is no binary'],
  ]);
});
