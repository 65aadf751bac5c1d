// What nvcc has put into a binary. The section .nv_fatbin holds a "fat binary" for each source file: machine code or PTX for each
// architecture, mostly compressed. CUDA's runtime finds the kernels by their mangled names, which are beside the host's code.
const magic = 0xba55ed50;
const [ptx, machineCode] = [1, 2];

/** The architectures of a section, as numbers such as 75, and its bytes: {bytes, files, machineCode, ptx}. */
export function architecturesOf(section) {
  const found = { [ptx]: new Set(), [machineCode]: new Set() };
  let files = 0;
  let at = 0;
  while (at + 16 <= section.length) {
    if (section.readUInt32LE(at) !== magic) {
      at += 8; // padding
      continue;
    }
    files++;
    const begin = at + section.readUInt16LE(at + 6);
    const end = begin + Number(section.readBigUInt64LE(at + 8));
    for (at = begin; at + 32 <= end && end <= section.length; ) {
      found[section.readUInt16LE(at)]?.add(section.readUInt32LE(at + 28));
      at += section.readUInt32LE(at + 4) + Number(section.readBigUInt64LE(at + 8)); // what stands before the code, the code
    }
    at = Math.max(at, end);
  }
  const sorted = (kind) => [...found[kind]].sort((a, b) => a - b);
  const bytes = section.length;
  return { bytes, files, machineCode: sorted(machineCode), ptx: sorted(ptx) };
}

/** How many kernels of each name a file has: {softmax_gradient_kernel: 40, ...}. */
export function kernelsOf(file) {
  const symbols = new Set(
    file.toString('latin1').match(/(?<=\0)_Z\w*?\d[a-z_]+_kernel[A-Z]\w*(?=\0)/g),
  );
  const kernels = {};
  for (const symbol of symbols) {
    const [, name] = /\d([a-z_]+_kernel)[A-Z]/.exec(symbol);
    kernels[name] = (kernels[name] ?? 0) + 1;
  }
  return kernels;
}
