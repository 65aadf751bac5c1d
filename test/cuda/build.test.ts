// What the build compiles for: which GPUs, which SIMD targets; and that what the emulator runs is what nvcc compiles.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');

/** What CMake prints when it runs these lines in the root, with a program nvidia-smi that is this shell script. */
function cmake(lines: string, nvidiaSmi = 'exit 9'): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-cmake-'));
  const script = path.join(folder, 'script.cmake');
  writeFileSync(script, `cmake_minimum_required(VERSION 3.22)\n${lines}\n`);
  writeFileSync(path.join(folder, 'nvidia-smi'), `#!/bin/sh\n${nvidiaSmi}\n`, { mode: 0o755 });
  // Where an nvcc is, is not this machine's to say.
  const { CUDACXX: _, CUDA_PATH: __, CUDA_HOME: ___, ...inherited } = process.env;
  const env = { ...inherited, PATH: `${folder}:${process.env.PATH}` };
  try {
    return execFileSync('cmake', ['-P', script], {
      cwd: root,
      env,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What cmake/cuda-architectures.cmake chooses. */
function architectures(
  known: number[],
  local: number[],
  all: boolean,
  processor = 'aarch64',
): string[] {
  const numbers = `"${known.join(';')}" "${local.join(';')}" ${all ? 'ON' : 'OFF'}`;
  return cmake(`set(CMAKE_SYSTEM_PROCESSOR ${processor})
include(cmake/cuda-architectures.cmake)
warpdice_cuda_architectures(chosen ${numbers})
message(STATUS "\${chosen}")`)
    .replace('-- ', '')
    .split(';');
}

/** Whether a GPU of this compute capability can run what was compiled for the given architectures. */
function runs(capability: number, compiled: string[]): boolean {
  return compiled.some((architecture) => {
    const [, number, kind] = /^(\d+)-(real|virtual)$/.exec(architecture) ?? [];
    const generation = (x: number) => Math.floor(x / 10);
    if (kind === 'virtual') return capability >= Number(number);
    return (
      generation(capability) === generation(Number(number)) &&
      capability % 10 >= Number(number) % 10
    );
  });
}

// What a build for this machine leaves out; a compiler that is a shell script says what the processor has.
describe('SIMD targets', () => {
  const avx2 = ['AVX2', 'FMA', 'F16C'];
  const avx512 = [...avx2, 'AVX512F', 'AVX512BW', 'AVX512DQ', 'AVX512VL'];

  function targets(features: string[] | undefined, settings = ''): string {
    const says = features?.map((name) => `echo '#define __${name}__ 1'`).join('\n') ?? 'exit 1';
    return cmake(
      `set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(WARPDICE_SIMD_TARGETS AUTO)
find_program(CMAKE_CXX_COMPILER nvidia-smi)
${settings}
include(cmake/simd.cmake)
foreach(target IN LISTS WARPDICE_TARGETS)
  list(APPEND levels "\${target}\${WARPDICE_LEVEL_\${target}}")
endforeach()
message(STATUS "\${levels}")`,
      says,
    ).replace(/^-- /gm, '');
  }

  test.each([
    ['AVX-512', avx512, 'baseline-O1;avx512-O3'],
    ['AVX2', avx2, 'baseline-O1;avx2-O3'],
    ['AVX2 and a part of AVX-512', avx512.slice(0, -1), 'baseline-O1;avx2-O3'],
    ['neither', ['FMA'], 'baseline-O3'],
    ['a compiler that does not say', undefined, 'baseline-O3;avx2-O3;avx512-O3'],
  ])('%s', (_, features, expected) => {
    expect(targets(features).split('\n').at(-1)).toBe(expected);
  });

  test('what it is for is said, and how to have all', () => {
    expect(targets(avx2).split('\n')[0]).toBe(
      'warpdice: for this processor, avx2 (WARPDICE_SIMD_TARGETS=ALL compiles for every one)',
    );
  });

  test.each(['WARPDICE_SIMD_TARGETS ALL', 'WARPDICE_PREBUILT ON', 'CMAKE_CROSSCOMPILING ON'])(
    'all with %s',
    (setting) => {
      expect(targets([], `set(${setting})`)).toBe('baseline-O3;avx2-O3;avx512-O3');
    },
  );
});

describe('GPU architectures', () => {
  const toolkits = {
    'CUDA 11.8': [35, 50, 52, 60, 61, 70, 72, 75, 80, 86, 87, 89, 90],
    'CUDA 12.9': [50, 60, 70, 75, 80, 86, 87, 89, 90, 100, 101, 103, 120, 121],
    'CUDA 13.0': [75, 80, 86, 87, 88, 89, 90, 100, 110, 103, 120, 121],
  };

  test.each(Object.entries(toolkits))(
    'a prebuilt binary of %s runs on all from 75 on',
    (_, known) => {
      const chosen = architectures(known, [], true);
      const supported = known.filter((capability) => capability >= 75);
      expect(supported.filter((capability) => !runs(capability, chosen))).toEqual([]);
      expect(chosen.filter((architecture) => Number.parseInt(architecture, 10) < 75)).toEqual([]);
      // PTX for what comes later, once.
      expect(chosen.filter((architecture) => architecture.endsWith('virtual'))).toEqual([
        `${Math.max(...known)}-virtual`,
      ]);
    },
  );

  test('it has the first of each generation; 110 is of arm64 alone', () => {
    const known = toolkits['CUDA 13.0'];
    expect(architectures(known, [], true).join(' ')).toBe(
      '75-real 80-real 90-real 100-real 110-real 120-real 121-virtual',
    );
    expect(architectures(known, [], true, 'x86_64').join(' ')).toBe(
      '75-real 80-real 90-real 100-real 120-real 121-virtual',
    );
  });

  test('a source build is for the GPUs of this machine', () => {
    const known = toolkits['CUDA 13.0'];
    expect(architectures(known, [90], false)).toEqual(['90-real']);
    expect(architectures(known, [86, 90, 86], false)).toEqual(['86-real', '90-real']);
    expect(architectures(known, [130], false)).toEqual(['121-virtual']);
  });

  test('without a GPU that is supported it is the oldest PTX', () => {
    expect(architectures([60, 75, 80, 90], [], false)).toEqual(['75-virtual']);
    expect(architectures([60, 75, 80, 90], [61], false)).toEqual(['75-virtual']);
  });
});

describe('whether CUDA is compiled', () => {
  /** What cmake/cuda.cmake says and decides; it finds no nvcc. */
  const decide = (setting: string, nvidiaSmi?: string) =>
    cmake(
      `set(CMAKE_FIND_ROOT_PATH /nonexistent)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM ONLY)
set(WARPDICE_CUDA ${setting})
include(cmake/cuda.cmake)
message(STATUS "\${WARPDICE_HAVE_CUDA}")`,
      nvidiaSmi,
    );

  test.each([
    ['exit 9', ''],
    ['echo "No devices were found"; exit 6', ''],
    ['echo 9.0', '90'],
    ['echo 8.6; echo 12.0', '86;120'],
  ])('the GPUs of a machine where nvidia-smi does: %s', (nvidiaSmi, gpus) => {
    const lines = `include(cmake/cuda-architectures.cmake)
warpdice_local_gpus(local)
message(STATUS "GPUs: \${local}")`;
    expect(cmake(lines, nvidiaSmi)).toBe(`-- GPUs: ${gpus}`.trim());
  });

  test('AUTO without a GPU: not, and it says how to ask for it', () => {
    expect(decide('AUTO')).toBe(
      '-- warpdice: CPU only, no NVIDIA GPU was found (WARPDICE_CUDA=ON compiles for GPUs all the same)\n-- OFF',
    );
  });

  test('AUTO with a GPU but no nvcc: not, and it says why', () => {
    expect(decide('AUTO', 'echo 9.0')).toBe(
      '-- warpdice: CPU only, there is an NVIDIA GPU but no CUDA compiler (nvcc)\n-- OFF',
    );
  });

  test('ON without nvcc: one clear sentence', () => {
    expect(() => decide('ON')).toThrow(/WARPDICE_CUDA=ON needs the CUDA toolkit: no nvcc in PATH/);
  });

  test('OFF: not, whatever there is', () => {
    expect(decide('OFF', 'echo 9.0')).toBe('-- warpdice: CPU only (WARPDICE_CUDA=OFF)\n-- OFF');
  });
});

test('no condition on compiler or GPU outside device_api.h', () => {
  // The one exception adds the two qualifiers and nothing else.
  const qualifiers = `#ifdef __CUDACC__
#define WARPDICE_HOST_DEVICE __host__ __device__
#else
#define WARPDICE_HOST_DEVICE
#endif
`;
  const native = path.join(root, 'native');
  const sources = ['math', 'cuda'].flatMap((folder) =>
    readdirSync(path.join(native, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => `${folder}/${name}`)
      .filter((name) => /\.(h|cuh|cu|cc)$/.test(name)),
  );
  expect(sources).toContain('math/finalize.h');
  const conditional = sources.filter((name) => {
    const text = readFileSync(path.join(native, name), 'utf8').replace(qualifiers, '');
    return /__CUDA|__NVCC__|__GNUC__|__clang__|__SANITIZE|if_target/.test(text);
  });
  expect(conditional).toEqual(['cuda/kernels/device_api.h']);
});

test('the counter of instructions executes machine code as a GPU does', () => {
  const counter = path.join(root, 'test/cuda/counts/self-test.mjs');
  expect(execFileSync(process.execPath, [counter], { encoding: 'utf8' })).toMatch('all right');
});
