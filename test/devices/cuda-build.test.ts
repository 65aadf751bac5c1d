// What the build does with CUDA: which GPUs it compiles for, and that what the emulator runs is what nvcc compiles.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');

/** What cmake/cuda-architectures.cmake chooses. */
function architectures(known: number[], local: number[], all: boolean): string[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-cmake-'));
  const script = path.join(folder, 'choose.cmake');
  writeFileSync(
    script,
    `cmake_minimum_required(VERSION 3.22)
include(${root}/cmake/cuda-architectures.cmake)
warpdice_cuda_architectures(chosen "${known.join(';')}" "${local.join(';')}" ${all ? 'ON' : 'OFF'})
file(WRITE ${folder}/chosen "\${chosen}")
`,
  );
  try {
    execFileSync('cmake', ['-P', script]);
    return readFileSync(path.join(folder, 'chosen'), 'utf8').split(';');
  } finally {
    rmSync(folder, { recursive: true });
  }
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
