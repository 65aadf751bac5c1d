// What a published addon must look like from outside: it needs only what every system of its platform has, of a known age,
// exports only what Node looks up, and is stripped. Usage: node scripts/check-binary.mjs [platform [files]]
import { statSync } from 'node:fs';
import path from 'node:path';
import { binaryFacts } from './binary-facts.mjs';
import { platforms, prebuiltFile, prebuiltMpiFile, thisPlatform } from './platforms.mjs';

const name = process.argv[2] ?? thisPlatform();
const { glibc } = platforms[name];
const root = path.dirname(import.meta.dirname);
const all = [prebuiltFile(name), prebuiltMpiFile(name)].filter(Boolean);
const files = process.argv[3] ? process.argv.slice(3) : all.map((file) => path.join(root, file));

/** With the code of all GPUs, and without it. */
const mostMegabytes = { all: 20, rest: 6 };
const mostKernels = 250;
const exported = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
const machines = {
  'linux-x64': 'Advanced Micro Devices X86-64',
  'linux-arm64': 'AArch64',
  'win32-x64': 'pei-x86-64',
  'darwin-x64': 'x86_64',
  'darwin-arm64': 'arm64',
};
/** The libraries that a platform has. glibc before 2.34 had its threads and its loader's functions in their own. */
const libraries = {
  glibc: /^(lib(c|m|pthread|dl|rt)\.so\.\d|ld-linux-.*)$/,
  musl: /^libc\.(so|musl-.*\.so\.1)$/,
  win32: /^(NODE\.EXE|KERNEL32\.dll|ntdll\.dll|api-ms-win-crt-.*\.dll|ucrtbase\.dll)$/i,
  darwin: /^\/usr\/lib\/libSystem\.B\.dylib$/,
};

const newer = (a, b) => {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number));
  return x[0] - y[0] || x[1] - y[1];
};

const countOf = (kernels) => Object.values(kernels).reduce((sum, n) => sum + n, 0);

function printKernels({ bytes, kernels, machineCode, ptx }) {
  const names = Object.entries(kernels).sort(([a], [b]) => (a < b ? -1 : 1));
  const architectures = [...machineCode.map((n) => `sm_${n}`), ...ptx.map((n) => `PTX for ${n}`)];
  const size = `${(bytes / 1e6).toFixed(2)} MB`;
  console.log(`  ${countOf(kernels)} CUDA kernels, ${size} for ${architectures.join(', ')}:`);
  console.log(`  ${names.map(([name, n]) => `${name} ${n}`).join(', ')}`);
}

function check(file) {
  const { machine, needs, imports, exports, versions, problems, cuda } = binaryFacts(file);
  const [platform, arch] = name.split('-');
  if (machine !== machines[`${platform}-${arch}`]) problems.push(`is for ${machine}`);
  for (const library of needs) {
    if (!libraries[platforms[name].libc ?? platform].test(library))
      problems.push(`needs ${library}`);
  }
  // Of glibc 2.18, which the sysroot's 2.17 does not know yet: libstdc++ asks for it.
  const alsoThere = glibc ? ['__cxa_thread_atexit_impl'] : [];
  if (platforms[name].libc !== 'musl') {
    for (const one of imports) {
      if (!/^(napi|node_api)_/.test(one) && !alsoThere.includes(one))
        problems.push(`needs the function ${one}`);
    }
  }
  for (const one of exports) if (!exported.includes(one)) problems.push(`exports ${one}`);
  for (const one of exported.slice(0, 1))
    if (!exports.includes(one)) problems.push(`does not export ${one}`);
  const newest = versions.reduce((a, b) => (newer(a, b) > 0 ? a : b), '0.0');
  if (glibc && newer(newest, glibc) > 0) problems.push(`needs glibc ${newest}, above ${glibc}`);
  const megabytes = statSync(file).size / 1e6;
  const ofGpus = (cuda?.bytes ?? 0) / 1e6;
  if (megabytes > mostMegabytes.all) problems.push(`is larger than ${mostMegabytes.all} MB`);
  if (cuda && countOf(cuda.kernels) > mostKernels)
    problems.push(`has more than ${mostKernels} kernels`);
  if (megabytes - ofGpus > mostMegabytes.rest)
    problems.push(`without code for GPUs it is larger than ${mostMegabytes.rest} MB`);

  const of = glibc ? `glibc ${glibc}` : needs.join(', ');
  console.log(`${path.relative('.', file)}: ${megabytes.toFixed(2)} MB, needs ${of}`);
  if (cuda) printKernels(cuda);
  if (problems.length > 0) {
    for (const problem of problems) console.error(`  ${problem}`);
    process.exitCode = 1;
  }
}

for (const file of files) check(file);
