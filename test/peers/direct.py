"""LovaszLoss of segmentation_models.pytorch itself on random problems: direct.py COUNT SEED OUT."""

import json
import random
import sys
from importlib.metadata import version

import segmentation_models_pytorch as smp
import torch


def solve(seed):
    pick = random.Random(seed)
    torch.manual_seed(seed)
    n, c, size = pick.randint(1, 3), pick.choice([1, 2, 3]), [pick.randint(1, 7), pick.randint(1, 7)]
    batch, ignore = pick.random() < 0.5, pick.random() < 0.4
    x = torch.randn(n, c, *size).mul_(2).requires_grad_()  # it has no float64
    labels = torch.randint(0, 2 if c == 1 else c, (n, *size))
    if ignore:
        labels[torch.rand(labels.shape) < 0.2] = 255
    mode = 'binary' if c == 1 else 'multiclass'
    loss = smp.losses.LovaszLoss(mode, per_image=not batch, ignore_index=255 if ignore else None)
    value = loss(x, labels)
    (gradient,) = torch.autograd.grad(value, x)
    return {
        'options': {'batch': batch, **({'hinge': True} if c == 1 else {}), **({'ignoreIndex': 255} if ignore else {})},
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
        file.write(f'{{"version": "{version("segmentation-models-pytorch")}", "cases": [\n{lines}\n]}}\n')


main(*sys.argv[1:])
