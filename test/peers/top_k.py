"""TopKLoss of nnU-Net itself on random problems: top_k.py COUNT SEED OUT."""

import json
import random
import sys
from importlib.metadata import version

import torch
from nnunetv2.training.loss.robust_ce_loss import TopKLoss

torch.set_default_dtype(torch.float64)


def solve(seed):
    pick = random.Random(seed)
    torch.manual_seed(seed)
    n, c, size = pick.randint(1, 3), pick.choice([2, 3, 5]), [pick.randint(2, 6), pick.randint(2, 6)]
    voxels = n * size[0] * size[1]
    k = round(pick.uniform(100 / voxels, 100), 2)
    options = {'k': k, 'batch': True, 'labelSmoothing': round(pick.random(), 3) if pick.random() < 0.5 else 0}
    if pick.random() < 0.5:
        options['classWeights'] = [round(pick.uniform(0.1, 3), 3) for _ in range(c)]
    x = (2 * torch.randn(n, c, *size)).requires_grad_()
    labels = torch.randint(0, c, (n, *size))
    weight = torch.tensor(options['classWeights']) if 'classWeights' in options else None
    value = TopKLoss(weight, k=k, label_smoothing=options['labelSmoothing'])(x, labels[:, None])
    (gradient,) = torch.autograd.grad(value, x)
    return {
        'options': options,
        'shape': list(x.shape),
        'x': x.flatten().tolist(),
        'labels': labels.flatten().tolist(),
        'value': value.item(),
        'gradient': gradient.flatten().tolist(),
    }


def main(count, seed, out):
    cases = [solve(int(seed) + i) for i in range(int(count))]
    with open(out, 'w', encoding='utf-8') as file:
        lines = ',\n'.join(json.dumps(case) for case in cases)
        file.write(f'{{"version": "{version("nnunetv2")}", "cases": [\n{lines}\n]}}\n')


main(*sys.argv[1:])
