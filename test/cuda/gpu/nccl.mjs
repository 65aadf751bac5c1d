// Checks warpdice/nccl on the GPUs of this machine, one rank each, at most two: value and gradient of calls and plans are those of
// one process, and sums of every dtype are right. NCCL can not make two ranks of one GPU, so with one GPU there is one rank.
//
//   node test/cuda/gpu/nccl.mjs [--steps 1000] [--length 100003]
//
// steps: of a plan. length: of the arrays that are summed.
//
// Exit status: 77 without a GPU or without NCCL, 1 when something differs. WARPDICE_TEST_NCCL: the library.
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { Device, DiceCELoss, Tensor } from '../../../dist/index.js';
import { native } from '../../../dist/native/load.js';
import { connect, uniqueId } from '../../../dist/nccl.js';

const { WARPDICE_TEST_NCCL: library } = process.env;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '1000' },
    length: { type: 'string', default: '100003' },
  },
});
const [steps, length] = [Number(values.steps), Number(values.length)];
const gpus = Device.list().slice(1, 3);
native.fake?.useNccl(); // on emulated devices
let failures = 0;

function expect(holds, what) {
  if (holds) return;
  failures++;
  console.log(`FAILED: ${what}`);
}

const [C, S] = [11, 1001]; // more sums than a frame has room for
/** Sample n: the same numbers on every rank. */
const logits = (n) => Float32Array.from({ length: C * S }, (_, i) => 4 * Math.sin(i * (n + 1.3)));
const labels = (n) => Uint8Array.from({ length: S }, (_, i) => (i * (n + 3)) % C);
const tensors = (data, target, N) => [Tensor.from(data, [N, C, S]), Tensor.from(target, [N, S])];

async function rank(number, size, id) {
  const device = gpus[number];
  const gpu = await connect({
    id,
    rank: number,
    size,
    device,
    timeout: 60_000,
    ...(library && { library }),
  });
  const all = Array.from({ length: size }, (_, n) => n);
  const join = (Type, make) => Type.from(all.flatMap((n) => [...make(n)]));
  const options = { activation: 'softmax', batch: true };
  const wanted = new DiceCELoss(options).valueAndGrad(
    ...tensors(join(Float32Array, logits), join(Uint8Array, labels), size),
  );
  const [value, grads] = [wanted.value.itemSync(), wanted.grad.data.subarray(number * C * S)];
  const loss = new DiceCELoss({ ...options, allReduce: gpu.allReduce });
  const [x, y] = tensors(logits(number), labels(number), 1).map((from) => from.to(device));
  const plan = loss.plan(x, y);
  const check = async (what, got) => {
    const off = Math.abs((await got.value.item()) - value);
    expect(off <= 1e-6, `${what}: the value is off by ${off}`);
    const worst = (await got.grad.read()).reduce(
      (most, g, i) => Math.max(most, Math.abs(g - grads[i])),
      0,
    );
    expect(
      worst <= 1e-5 * Math.max(...grads.map(Math.abs)),
      `${what}: the gradient is off by ${worst}`,
    );
  };
  await check('valueAndGrad', loss.valueAndGrad(x, y));
  await check('valueAndGradAsync', await loss.valueAndGradAsync(x, y));
  for (let step = 0; step < 3; step++) await check('a plan', plan.execute());
  for (let step = 0; step < steps; step++) plan.execute();
  await check(`a plan after ${steps} steps`, plan.execute());

  for (const [dtype, Type, one, sums] of [
    ['float32', Float32Array, 1, [1, 2]],
    ['float64', Float64Array, 1, [1, 2]],
    ['float16', Uint16Array, 0x3c00, [0x3c00, 0x4000]],
    ['bfloat16', Uint16Array, 0x3f80, [0x3f80, 0x4000]],
  ]) {
    const array = Tensor.from(new Type(length).fill(one), [length], { dtype }).to(device);
    const got = await gpu.sum(array).read();
    expect(
      got.every((it) => it === sums[size - 1]),
      `sum of ${dtype}`,
    );
    array.dispose();
  }
  plan.dispose();
  await gpu.close();
  console.log(
    `rank ${number} of ${size} on ${device}, NCCL ${gpu.library.version}: ${failures} failures`,
  );
  process.exitCode = failures === 0 ? 0 : 1;
}

/** An id that this process, which makes the ranks, has made. */
function makeId() {
  try {
    return Buffer.from(uniqueId(library ? { library } : {})).toString('hex');
  } catch ({ message }) {
    console.log(`no NCCL: ${message}`);
    return process.exit(77);
  }
}

const start = (rank) =>
  new Promise((resolve) => {
    const args = [process.argv[1], ...rank, `--steps=${steps}`, `--length=${length}`];
    spawn(process.execPath, args, { stdio: 'inherit' }).on('close', resolve);
  });

if (positionals.length > 0) {
  const [number, size, id] = positionals;
  await rank(Number(number), Number(size), Uint8Array.from(Buffer.from(id, 'hex')));
} else if (gpus.length === 0) {
  console.log(`no GPU: ${Device.whyNoGpu}`);
  process.exitCode = 77;
} else {
  const id = makeId();
  const codes = await Promise.all(
    gpus.map((_, rank) => start([String(rank), String(gpus.length), id])),
  );
  process.exit(codes.every((code) => code === 0) ? 0 : 1); // a thread of NCCL listens for the ranks of the id
}
