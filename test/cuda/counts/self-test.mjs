// The executor, on instructions whose results are known, and the comparison with the table. Run by ../build.test.ts.
import assert from 'node:assert/strict';
import { Block } from './block.mjs';
import { parse } from './cubin.mjs';
import { risen } from './table.mjs';

/** Runs lines of machine code in words on `threads` threads. Returns the block. */
function execute(lines, threads = 1, memory = () => 0) {
  const text = lines.map((line, i) =>
    line.endsWith(':') ? line : `        /*${(16 * i).toString(16).padStart(4, '0')}*/  ${line} ;`,
  );
  const code = parse([...text, '        /*ff00*/  EXIT ;']);
  const kernel = { symbol: 'kernel', argumentBase: 0x210, constants: new Map(), ...code };
  const launch = { grid: 4, threads, arguments: Buffer.from('0102030405060708', 'hex') };
  const block = new Block(kernel, launch, 2, memory);
  return Object.assign(block, block.run());
}

/** The register R0 of thread 0 after these instructions. */
const after = (...lines) => execute(lines).threads[0].R[0];

const results = [
  // 64 bits: 0xffffffff_80000000 + 0x80000001, whose carry goes to the upper word.
  [1, 'MOV R1, 0x80000000', 'IADD3 R2, P0, R1, 0x80000001, RZ', 'IADD3.X R0, RZ, RZ, RZ, P0, !PT'],
  [0xffffffff, 'MOV R1, 0x5', 'IADD3 R2, P0, R1, -0x6, RZ', 'IADD3.X R0, RZ, -0x1, RZ, P0, !PT'],
  [7, 'MOV R1, 0x9', 'MOV R2, 0x2', 'IADD3 R0, R1, -R2, RZ'],
  [0xfffffffe, 'MOV R2, 0xffffffff', 'IMAD.WIDE.U32 R4, R2, R2, RZ', 'MOV R0, R5'],
  [0, 'MOV R2, 0xffffffff', 'IMAD.WIDE R4, R2, R2, RZ', 'MOV R0, R5'],
  [0x24, 'MOV R1, 0x8', 'LEA R0, R1, 0x4, 0x2'],
  [3, 'MOV R1, 0x80000000', 'LEA.HI R0, R1, 0x1, RZ, 0x2'],
  [0xfffffff8, 'MOV R1, 0xffffff80', 'SHF.R.S32.HI R0, RZ, 0x4, R1'],
  [0xf0000001, 'MOV R1, 0x10', 'MOV R2, 0xf', 'SHF.R.U64 R0, R1, 0x4, R2'],
  [0x12, 'MOV R1, 0x3412', 'LOP3.LUT R0, R1, 0xff, RZ, 0xc0, !PT'],
  // 64 bits, of which one word is not 0.
  [
    5,
    'MOV R1, 0x40',
    'LOP3.LUT P0, RZ, R1, 0xffffffe0, RZ, 0xc0, !PT',
    'LOP3.LUT P0, RZ, RZ, 0xffffffff, RZ, 0xc0, P0',
    'SEL R0, 0x5, 0x6, P0',
  ],
  [0xffffff84, 'MOV R1, 0x84', 'PRMT R0, R1, 0x8880, RZ'],
  [0x3f800000, 'MOV R1, 0x40000000', 'FADD R0, R1, -1'],
  [0x40a00000, 'MOV R1, 0x40000000', 'FFMA R0, R1, 2, 1'],
  [0x40800000, 'MOV R1, 0x40000000', 'MUFU.EX2 R0, R1'],
  [0x40080000, 'MOV R1, 0x40400000', 'F2F.F64.F32 R2, R1', 'MOV R0, R3'],
  [0x3fc00000, 'MOV R1, 0x3e000000', 'HADD2.F32 R0, -RZ, R1.H1_H1'],
  [4, 'MOV R1, 0xffffffff', 'ISETP.LT.AND P0, PT, R1, RZ, PT', 'SEL R0, 0x4, 0x5, P0'],
  [5, 'MOV R1, 0xffffffff', 'ISETP.LT.U32.AND P0, PT, R1, RZ, PT', 'SEL R0, 0x4, 0x5, P0'],
  [3, 'MOV R1, 0x3', 'VIMNMX R0, R1, 0x4, PT'],
  [0x40400000, 'MOV R1, 0x40400000', 'FMNMX3 R0, R1, 2, -1, !PT'],
  [0xfffffffe, 'MOV R1, 0xfffffffe', 'VIMNMX3 R0, R1, 0x4, RZ, PT'],
  [1, 'MOV R2, 0xffffffff', 'MOV R3, RZ', 'IADD.64 R4, R2, R2', 'MOV R0, R5'],
  [2, 'MOV R2, 0xffffffff', 'MOV R3, RZ', 'UIADD3.64 R4, UPT, UPT, R2, R2, R2', 'MOV R0, R5'],
  [
    0xffffffff,
    ...['MOV R2, 0xffffffff', 'MOV R3, R2', 'MOV R4, 0x1', 'MOV R5, RZ'],
    'IMNMX.S64 PT, PT, R0, R2, R4, PT, !PT',
  ],
  [0x08070605, 'LDCU UR4, c[0x0][0x214]', 'MOV R0, UR4'],
  [1, 'LDC R0, c[0x0][0x360]'],
  [4, 'LDC R0, c[0x0][0x370]'],
  [0, 'MOV R1, 0xffffffff', 'VIMNMX.RELU R0, P3, P3, R1, 0x4, PT'],
  [7, 'MOV R1, 0x5', 'VIMNMX.RELU R2, P3, P3, R1, 0x4, PT', 'SEL R0, 0x6, 0x7, P3'],
  // 64 bits: 0x00000001_00000000 < 0x00000001_00000005
  [
    1,
    'ISETP.LT.U32.AND P0, PT, RZ, 0x5, PT',
    'MOV R1, 0x1',
    'ISETP.LT.AND.EX P1, PT, R1, 0x1, PT, P0',
    'SEL R0, 0x1, 0x2, P1',
  ],
  [0x08070605, 'LDC R0, c[0x0][0x214]'],
  [2, 'S2R R0, SR_CTAID.X'],
  [9, 'MOV R1, 0x20', 'MOV R2, 0x9', 'STS [R1+0x10], R2', 'LDS R0, [R1+0x10]'],
];
for (const [expected, ...lines] of results)
  assert.equal(after(...lines), expected, lines.join('; '));

// A loop of five rounds: three instructions before it, three in it, one after it.
const loop = [
  'MOV R1, RZ',
  '.L_1:',
  'VIADD R1, R1, 0x1',
  'ISETP.NE.AND P0, PT, R1, 0x5, PT',
  '@P0 BRA `(.L_1)',
];
assert.equal(
  execute(loop).issued.reduce((a, b) => a + b),
  1 + 3 * 5 + 1,
);

// A branch that half of the lanes take costs the warp both ways. Sixty-four threads are two warps.
const halfway = [
  ...[
    'S2R R1, SR_TID.X',
    'LOP3.LUT P0, RZ, R1, 0x1, RZ, 0xc0, !PT',
    '@P0 BRA `(.L_2)',
    'MOV R2, 0x1',
    'MOV R2, 0x2',
  ],
  ...['.L_2:', 'MOV R3, 0x3'],
];
assert.equal(
  execute(halfway, 64).issued.reduce((a, b) => a + b),
  2 * 7,
);

// Lanes exchange values, and warps through shared memory after a barrier.
const sum = ['S2R R1, SR_TID.X'];
for (const by of [16, 8, 4, 2, 1]) {
  sum.push(`SHFL.BFLY PT, R2, R1, 0x${by.toString(16)}, 0x1f`, 'IADD3 R1, R1, R2, RZ');
}
assert.deepEqual(
  execute(sum, 32).threads.map(({ R }) => R[1]),
  new Array(32).fill(496),
);
// Of every four lanes each gets the value of the second one.
assert.deepEqual(
  execute(['S2R R1, SR_TID.X', 'SHFL.IDX PT, R2, R1, 0x1, 0x1c1f'], 32).threads.map(
    ({ R }) => R[2],
  ),
  Array.from({ length: 32 }, (_, lane) => (lane & ~3) | 1),
);
const pass = [
  'S2R R1, SR_TID.X',
  'SHF.L.U32 R2, R1, 0x2, RZ',
  'STS [R2], R1',
  'BAR.SYNC 0x0',
  'LDS R3, [0x7c]',
];
assert.deepEqual(new Set(execute(pass, 64).threads.map(({ R }) => R[3])), new Set([31]));

assert.throws(() => after('UNHEARD R0, R1'), /UNHEARD is not known/);

// The table: a rise of 3% is allowed, more is not; rows must be the same.
const row = {
  classes: 4,
  shape: [1, 4, 8],
  dtype: 'float32',
  labels: 'uint8',
  layout: 'channels-first',
  loss: 'dice',
};
const counted = (instructionsPerElement) => ({
  ...row,
  kernel: 'gradient',
  instructionsPerElement,
});
assert.deepEqual(risen([counted(103)], [counted(100)]), []);
assert.match(
  risen([counted(103.1)], [counted(100)])[0],
  /103.1 instructions an element, 100 in the table/,
);
assert.match(risen([counted(1)], [])[0], /not in the table/);
assert.match(risen([], [counted(1)])[0], /not counted/);
console.log('counts: all right');
