// The platforms of prebuilt binaries: how each is compiled on Linux, and what its binary may need.
//
// Names are those of Node: <process.platform>-<process.arch>, with -musl where the C library is musl.

/** Of a platform that Zig cross-compiles; `target` is Zig's name for it. */
const zig = (target, system, processor) => ({ compiler: 'zig', target, system, processor });

export const platforms = {
  'linux-x64': {
    compiler: 'gcc',
    cxx: 'c++',
    strip: 'strip',
    sysroot: { package: '@napi-rs/cross-toolchain-x64-target-x86_64@1.0.0', triple: 'x86_64' },
    libc: 'glibc',
    mpi: true,
    glibc: '2.18',
    cuda: true,
  },
  'linux-arm64': {
    compiler: 'gcc',
    cxx: 'aarch64-linux-gnu-g++',
    debian: 'g++-aarch64-linux-gnu',
    strip: 'aarch64-linux-gnu-strip',
    system: 'Linux',
    processor: 'aarch64',
    sysroot: { package: '@napi-rs/cross-toolchain-x64-target-aarch64@1.0.3', triple: 'aarch64' },
    libc: 'glibc',
    mpi: true,
    glibc: '2.18',
    cuda: true,
    cudaWheels: 'manylinux2014_aarch64', // of CUDA's runtime, on PyPI
  },
  'linux-x64-musl': { ...zig('x86_64-linux-musl', 'Linux', 'x86_64'), libc: 'musl' },
  'linux-arm64-musl': { ...zig('aarch64-linux-musl', 'Linux', 'aarch64'), libc: 'musl' },
  'win32-x64': zig('x86_64-windows-gnu', 'Windows', 'AMD64'),
  'darwin-arm64': zig('aarch64-macos.11.0', 'Darwin', 'arm64'),
  'darwin-x64': zig('x86_64-macos.11.0', 'Darwin', 'x86_64'),
};

/** The platform of this process. */
export function thisPlatform() {
  const musl =
    process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime;
  return `${process.platform}-${process.arch}${musl ? '-musl' : ''}`;
}

/** The package of a platform's binary. npm takes a new unscoped name like warpdice-linux-x64 for spam at times. */
export const packageOf = (name) => `@warpdice/${name}`;

/** Where that package is made; packages/warpdice is the main one. */
export const packageFolder = (name) => `packages/${name}`;

const folderOf = (name) =>
  `${packageFolder(name)}/prebuilds/${name.split('-').slice(0, 2).join('-')}`;

/** Where prebuildify puts the binary of a platform, and node-gyp-build looks for it. */
export const prebuiltFile = (name) => `${folderOf(name)}/warpdice.node`;

/** Where the addon of warpdice/mpi lies; undefined where there is none. */
export const prebuiltMpiFile = (name) =>
  platforms[name].mpi && `${folderOf(name)}/mpi/warpdice_mpi.node`;
