// What scripts/check-binary.mjs reads of the CUDA kernels in an addon: a small one is linked, with made-up "fat binaries".
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');
const [PTX, MACHINE_CODE] = [1, 2];

/** One entry of a fat binary, with a header of 64 bytes: kind and architecture, and so much code. */
function entry(kind: number, architecture: number, size: number): Buffer {
  const made = Buffer.alloc(64 + size, 0xff);
  made.writeUInt16LE(kind, 0);
  made.writeUInt32LE(64, 4);
  made.writeBigUInt64LE(BigInt(size), 8);
  made.writeUInt32LE(architecture, 28);
  return made;
}

function fatBinary(...entries: Buffer[]): Buffer {
  const content = Buffer.concat(entries);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0xba55ed50, 0);
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(16, 6);
  header.writeBigUInt64LE(BigInt(content.length), 8);
  return Buffer.concat([header, content]);
}

function factsOf(section: Buffer | undefined, names: string[]) {
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-kernels-'));
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: folder, encoding: 'utf8' });
  try {
    const strings = names.map((name, i) => `const char* name${i} = "${name}";\n`);
    writeFileSync(path.join(folder, 'addon.c'), strings.join(''));
    run('cc', '-shared', '-fPIC', '-nostdlib', '-o', 'addon.node', 'addon.c');
    if (section) {
      writeFileSync(path.join(folder, 'kernels'), section);
      run('objcopy', '--add-section', '.nv_fatbin=kernels', 'addon.node');
    }
    const script = `import { binaryFacts } from ${JSON.stringify(path.join(root, 'scripts/binary-facts.mjs'))};
      console.log(JSON.stringify(binaryFacts('addon.node').cuda ?? null));`;
    return JSON.parse(run(process.execPath, '--input-type=module', '--eval', script));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('architectures of machine code and of PTX, and kernels by their names', () => {
  const section = Buffer.concat([
    fatBinary(entry(MACHINE_CODE, 90, 24), entry(MACHINE_CODE, 75, 8), entry(PTX, 121, 40)),
    Buffer.alloc(8), // padding
    fatBinary(entry(MACHINE_CODE, 75, 16), entry(MACHINE_CODE, 100, 0)),
  ]);
  const names = [
    '_ZN8warpdice4cuda19tile_gradient_kernelIfLi4ELb1EEEvNS0_4WorkE',
    '_ZN8warpdice4cuda19tile_gradient_kernelIfLi8ELb1EEEvNS0_4WorkE',
    '_ZN8warpdice4cuda12_GLOBAL__N_112agree_kernelENS0_7MessageEi',
    'N8warpdice4cuda4PlanE', // a type
    '_ZN8warpdice4cuda10Dispatcher', // no kernel
  ];
  expect(factsOf(section, names)).toEqual({
    bytes: section.length,
    files: 2,
    machineCode: [75, 90, 100],
    ptx: [121],
    kernels: { agree_kernel: 1, tile_gradient_kernel: 2 },
  });
});

test('an addon without kernels, and a section that is none', () => {
  expect(factsOf(undefined, [])).toBeNull();
  const nothing = { bytes: 12, files: 0, machineCode: [], ptx: [], kernels: {} };
  expect(factsOf(Buffer.from('machine code'), [])).toEqual(nothing);
});
