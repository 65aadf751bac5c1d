// The shortest training over many processes:
//
//     mpirun -n 2 node examples/distributed/train.mjs
//
// Each rank has its own voxels of the batch, rank 0 fewer than the last one. The loss is that of all of them, whatever the number
// of ranks, and so are the weights. The network is a linear classifier of three features of a voxel.
import { DiceCELoss } from 'warpdice';
import { connect } from 'warpdice/mpi';

const [C, F, all] = [3, 3, 6000]; // classes, features, voxels of all ranks
const world = await connect();
const { rank, size } = world;
const loss = new DiceCELoss({
  batch: true,
  layout: 'channels-last',
  allReduce: world.allReduceSync,
});

// This rank's voxels, from..to: the class is the third of [0, 1) that x lies in.
const edge = (r) => Math.floor(all * (r / size) ** 2);
const S = edge(rank + 1) - edge(rank);
const x = Float32Array.from({ length: S }, (_, s) => (0.618034 * (edge(rank) + s)) % 1);
const features = Float32Array.from({ length: S * F }, (_, i) => x[Math.floor(i / F)] ** (i % F));
const labels = { data: Uint8Array.from(x, (v) => Math.floor(C * v)), shape: [1, S] };

const weights = new Float64Array(C * F);
const logits = { data: new Float32Array(S * C), shape: [1, S, C] };
const grad = { data: new Float32Array(S * C), shape: [1, S, C] };

for (let step = 1; step <= 200; step++) {
  for (let s = 0; s < S; s++) {
    for (let c = 0; c < C; c++) {
      let sum = 0;
      for (let f = 0; f < F; f++) sum += weights[c * F + f] * features[s * F + f];
      logits.data[s * C + c] = sum;
    }
  }
  const { value } = loss.valueAndGrad(logits, labels, { out: { grad } });

  const gradient = new Float64Array(C * F);
  for (let s = 0; s < S; s++) {
    for (let c = 0; c < C; c++) {
      for (let f = 0; f < F; f++) gradient[c * F + f] += grad.data[s * C + c] * features[s * F + f];
    }
  }
  world.sumSync(gradient); // of all ranks
  for (let i = 0; i < weights.length; i++) weights[i] -= 5 * gradient[i];
  if (rank === 0 && step % 50 === 0)
    console.log(`step ${step}: loss ${value.itemSync().toFixed(6)}`);
}
