// Prints which tests were skipped, and fails a full run whose skipped tests differ from what
// test/skipped.txt says for this machine. A line of that file is `<condition> | <test file> | <name>`;
// the name may end in * for all that begin like it.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir, totalmem } from 'node:os';
import path from 'node:path';

const cpuinfo = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';

const { PATH = '', WARPDICE_CI_CACHE, WARPDICE_MPICH5 } = process.env;
const onPath = (program) =>
  PATH.split(path.delimiter).some((folder) => existsSync(path.join(folder, program)));
/** As .ci/tools installs it. */
const cache = WARPDICE_CI_CACHE ?? path.join(homedir(), '.cache/warpdice-ci');
const mpich5 = WARPDICE_MPICH5 ?? path.join(cache, 'mpich-5');

/** Whether build/ has the SIMD target: a build for a machine with AVX-512 has no avx2. */
function isCompiled(target) {
  const file = path.join(import.meta.dirname, '../../build/simd-targets');
  return !existsSync(file) || readFileSync(file, 'utf8').split(';').includes(target);
}

/** Whether test/contract/digests.json knows the compiler that CMake found, by the words of the addon's compiler(). */
function hasRecordedBits(root) {
  const folder = path.join(root, 'build/CMakeFiles');
  const facts = (existsSync(folder) ? readdirSync(folder) : [])
    .map((name) => path.join(folder, name, 'CMakeCXXCompiler.cmake'))
    .find((file) => existsSync(file));
  if (!facts) return false;
  const text = readFileSync(facts, 'utf8');
  const fact = (name) => new RegExp(`set\\(CMAKE_CXX_COMPILER_${name} "(.*?)"\\)`).exec(text)?.[1];
  const name = fact('ID') === 'GNU' ? 'GCC' : fact('ID');
  const recorded = JSON.parse(readFileSync(path.join(root, 'test/contract/digests.json'), 'utf8'));
  return `${name} ${fact('VERSION')?.split('.')[0]}` in recorded;
}

/** What a machine can lack. Each condition is decided here, not by the code under test. */
const conditions = {
  'no-recorded-bits': !hasRecordedBits(path.join(import.meta.dirname, '../..')),
  'no-gpu': !existsSync('/dev/nvidia0'),
  'no-avx2': !/\bavx2\b/.test(cpuinfo) || !isCompiled('avx2'),
  'no-avx512': !/\bavx512vl\b/.test(cpuinfo),
  'no-neon': process.arch !== 'arm64',
  'no-x86': process.arch !== 'x64',
  'no-linux': process.platform !== 'linux',
  'no-huge-pages': !existsSync('/sys/kernel/mm/transparent_hugepage'),
  'no-python': !onPath('python3'),
  'less-than-12-gib': totalmem() < 12 * 2 ** 30,
  'before-node-24': Number(process.versions.node.split('.')[0]) < 24,
  'no-open-mpi': !onPath('mpirun.openmpi'),
  'no-mpich': !onPath('mpirun.mpich'),
  'no-mpich-5': !existsSync(path.join(mpich5, 'bin/mpirun')),
  'no-intel-mpi': !existsSync(path.join(cache, 'intel-mpi/bin/mpirun')),
  'no-nccl': !existsSync(path.join(cache, 'nccl/nvidia/nccl/lib/libnccl.so.2')),
  sanitized: (process.env.LD_PRELOAD ?? '').includes('libasan'),
};

function expectations(root) {
  return readFileSync(path.join(root, 'test/skipped.txt'), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [condition, file, name] = line.split('|').map((part) => part.trim());
      if (!(condition in conditions) || !name)
        throw new Error(`test/skipped.txt: cannot read "${line}"`);
      const runs = Boolean(process.env.WARPDICE_TEST_ALL) || !file.endsWith('.long.test.ts');
      return { line, file, name, active: runs && conditions[condition] };
    });
}

function matches({ file, name }, test) {
  if (file !== test.file) return false;
  return name.endsWith('*') ? test.name.startsWith(name.slice(0, -1)) : test.name === name;
}

export default class SkippedReporter {
  #root;
  #partial;
  #error;

  constructor({ rootDir, testNamePattern, testPathPatterns, onlyChanged }) {
    this.#root = rootDir;
    this.#partial = Boolean(testNamePattern || testPathPatterns?.patterns?.length || onlyChanged);
  }

  onRunComplete(_contexts, results) {
    const skipped = results.testResults.flatMap(({ testFilePath, testResults }) =>
      testResults
        .filter(({ status }) => status !== 'passed' && status !== 'failed')
        .map(({ fullName }) => ({ file: path.relative(this.#root, testFilePath), name: fullName })),
    );
    const { WARPDICE_TEST_COUNTS } = process.env;
    if (WARPDICE_TEST_COUNTS) {
      const { numPassedTests, numFailedTests, numFailedTestSuites } = results;
      const failed = Math.max(numFailedTests, numFailedTestSuites);
      writeFileSync(WARPDICE_TEST_COUNTS, `${numPassedTests} ${failed} ${skipped.length}\n`);
    }
    console.log(`\nSkipped tests: ${skipped.length}`);
    for (const { file, name } of skipped) console.log(`  ${file}: ${name}`);
    if (this.#partial) return;

    const expected = expectations(this.#root);
    // The run under sanitizers leaves suites out (.ci/sanitized-jest).
    const run = new Set(
      results.testResults.map(({ testFilePath }) => path.relative(this.#root, testFilePath)),
    );
    const leftOut = (file) => !run.has(file) && existsSync(path.join(this.#root, file));
    const problems = [
      ...skipped
        .filter((test) => !expected.some((entry) => entry.active && matches(entry, test)))
        .map(({ file, name }) => `skipped, but not listed for this machine: ${file} | ${name}`),
      ...expected
        .filter((entry) => entry.active && !leftOut(entry.file))
        .filter((entry) => !skipped.some((test) => matches(entry, test)))
        .map(({ line }) => `listed as skipped, but it ran or is gone: ${line}`),
    ];
    if (problems.length === 0) return;
    console.log(`\nSkipped tests differ from test/skipped.txt:\n  ${problems.join('\n  ')}`);
    this.#error = new Error('Skipped tests differ from test/skipped.txt');
  }

  getLastError() {
    return this.#error;
  }
}
