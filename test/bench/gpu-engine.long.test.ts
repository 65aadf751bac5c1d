// The library that the benchmark on a GPU calls from Python (bench/gpu/engine.cc).
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { DiceLoss, linearLogits, type Tensor } from '../../lib/index.js';
import { makeData } from '../head/composed.js';

const folder = path.join(__dirname, '..', '..', 'bench', 'gpu');
const python = (args: string[], input = '') =>
  spawnSync('python3', args, { encoding: 'utf8', input });
const withPython = python(['--version']).status === 0 ? test : test.skip;

// PyTorch's place is taken by what warpdice_gpu.py asks of it, the GPU's by the emulator.
withPython("the engine's library gives value and gradients of the head", () => {
  const call = `
import ctypes, json, sys, types
sys.path.insert(0, sys.argv[1])
names = ["float32", "float64", "float16", "bfloat16", "uint8", "int32", "int64"]
stream = types.SimpleNamespace(cuda_stream=0)
sys.modules["torch"] = types.SimpleNamespace(cuda=types.SimpleNamespace(current_stream=lambda: stream), **{name: name for name in names})
from warpdice_gpu import HeadPlan, Library
class Array:
    def __init__(self, element, values):
        self.values = (element * len(values))(*values)
    def data_ptr(self):
        return ctypes.addressof(self.values)
given = json.load(sys.stdin)
parts = [Array(ctypes.c_float, given[name]) for name in ("features", "weight", "bias")]
gradients = [Array(ctypes.c_float, [0] * len(part.values)) for part in parts]
labels, value = Array(ctypes.c_uint8, given["target"]), Array(ctypes.c_double, [0])
plan = HeadPlan(Library(sys.argv[2]), given["sizes"], "float32", "uint8", "softmax")
plan.run(*parts, labels, value, gradients)
print(json.dumps([list(array.values) for array in (value, *gradients)]))
assert plan.kept_bytes() > 0
plan.close()`;
  const [N, K, C, S] = [2, 5, 7, 40];
  const data = makeData({ N, K, C, size: [S] });
  const list = (from: { data: ArrayLike<unknown> }) => Array.from(from.data);
  const given = {
    sizes: [N, K, C, S],
    features: list(data.features),
    weight: list(data.weight),
    bias: list(data.bias as never),
    target: list(data.target),
  };
  const library = path.join(__dirname, '../../build/emulated/libgpu_emulated.so');
  const { stdout, stderr } = python(['-B', '-c', call, folder, library], JSON.stringify(given));
  expect(stderr).toBe('');
  const loss = new DiceLoss({
    activation: 'softmax',
    smoothNumerator: 0,
    smoothDenominator: 1e-7,
  });
  const logits = linearLogits(data.features, data.weight, data.bias);
  const { value, grad } = loss.valueAndGrad(logits, data.target);
  const wanted = [value, grad.features, grad.weight, grad.bias].map((part) => [
    ...((part as Tensor).data as Float32Array),
  ]);
  for (const [i, got] of (JSON.parse(stdout) as number[][]).entries()) {
    expect(got.length).toBe(wanted[i]?.length);
    for (const [at, x] of got.entries()) expect(x).toBeCloseTo(wanted[i]?.[at] as number, 6);
  }
});
