// What nvcc's intermediate code (PTX) must and must not hold, kernel by kernel. `kernels` matches a kernel's name.
const rules = [
  { kernels: /./, forbids: /\.local\b/, because: 'keeps an array or an address in local memory' },
  {
    kernels: /./,
    forbids: /\b(?:atom|red)\.[\w.:]*\.b?f(?:16|32|64)/,
    because: 'adds floats atomically: the order, and with it the bits, would differ between runs',
  },
  {
    kernels: /statistics|combine/,
    needs: /\bshfl\.sync\./,
    because: 'does not reduce by warp shuffles',
  },
  {
    // A thread of register.cuh holds one voxel of several classes of doubles.
    kernels: /(?:team|register|tile)_(?:statistics|gradient)_kernel(?!IdLi[24]E)/,
    needs: /\bld\.global(?:\.\w+)*\.v[24]\./,
    because: 'has no vector loads: neighbouring voxels are read one by one',
  },
  {
    // A thread may hold a single voxel of doubles. nvcc 13.0 writes the voxels of one class one by one.
    kernels: /(?:team_gradient|register_gradient(?!_kernelI\w*?Li1E))(?!_kernelId)/,
    needs: /\bst\.global(?:\.\w+)*\.v[24]\./,
    because: 'has no vector stores: neighbouring voxels are written one by one',
  },
];

/** The kernels of a PTX file: name and text. */
function* entriesOf(ptx) {
  const starts = [...ptx.matchAll(/\.entry (\w+)/g)];
  for (const [i, { 1: name, index }] of starts.entries()) {
    yield { name, text: ptx.slice(index, starts[i + 1]?.index) };
  }
}

/** What is wrong: a sentence for each kernel and rule. */
export function checkPtx(ptx) {
  const problems = [];
  for (const { name, text } of entriesOf(ptx)) {
    for (const { kernels, forbids, needs, because } of rules) {
      if (!kernels.test(name)) continue;
      if (forbids?.test(text) || needs?.test(text) === false) {
        problems.push({ kernel: name, because });
      }
    }
  }
  return problems;
}
