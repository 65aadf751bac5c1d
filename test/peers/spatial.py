"""Losses that know where voxels lie, on random problems: spatial.py COUNT SEED OUT.

BoundaryLoss: the formula of its authors' program (github.com/LIVIAETS/boundary-loss: one_hot2dist and SurfaceLoss), with SciPy's
distances. HausdorffLoss: MONAI's HausdorffDTLoss and LogHausdorffDTLoss. SoftClDiceLoss: MONAI's SoftclDiceLoss and SoftDiceclDiceLoss,
on one counted class, because they add up the classes.
"""

import json
import random
import sys
from importlib.metadata import version

import numpy as np
import torch
from monai.losses import HausdorffDTLoss, LogHausdorffDTLoss, SoftclDiceLoss, SoftDiceclDiceLoss
from monai.networks import one_hot
from scipy.ndimage import distance_transform_edt


def make_problem(pick, classes, digits=2):
    size = [pick.randint(1, 7) for _ in range(2)] if pick.random() < 0.6 else [pick.randint(1, 4) for _ in range(3)]
    n = pick.randint(1, 2)
    x = torch.tensor([round(pick.gauss(0, 2), digits) for _ in range(n * classes * int(np.prod(size)))], dtype=torch.float64)
    labels = torch.tensor([pick.randrange(max(2, classes)) for _ in range(n * int(np.prod(size)))])
    labels[: labels.numel() // 2] //= 2  # one class is rare
    target = labels.view(n, 1, *size)
    masks = one_hot(target, classes) if classes > 1 else target
    return x.view(n, classes, *size).requires_grad_(), labels, masks.double()


def activate(pick, x):
    """The name of an activation, and what it gives."""
    if x.shape[1] == 1 or pick.random() < 0.4:
        return 'sigmoid', x.sigmoid()
    return 'softmax', x.softmax(1)


def signed_distance(mask, spacing):
    if not mask.any() or mask.all():  # SciPy has no distance to voxels that are not there
        return np.zeros(mask.shape)
    outside = distance_transform_edt(~mask, sampling=spacing)
    return outside * ~mask - (distance_transform_edt(mask, sampling=spacing) - 1) * mask


def boundary(pick):
    x, labels, masks = make_problem(pick, pick.choice([1, 2, 3]))
    spacing = [pick.choice([0.5, 1.0, 1.25, 3.0]) for _ in x.shape[2:]]
    activation, p = activate(pick, x)
    maps = [[signed_distance(mask.numpy() > 0, spacing) for mask in sample] for sample in masks]
    loss = torch.einsum('bk...,bk...->bk...', p, torch.tensor(np.array(maps))).mean()
    return {'activation': activation, 'spacing': spacing}, x, labels, loss


def hausdorff(pick):
    x, labels, masks = make_problem(pick, pick.choice([1, 2, 3]))
    activation, _ = activate(pick, x)
    log, batch, alpha = pick.random() < 0.5, pick.random() < 0.5, pick.choice([1.0, 2.0, 2.5])
    background, reduction = x.shape[1] == 1 or pick.random() < 0.5, pick.choice(['mean', 'sum'])
    theirs = (LogHausdorffDTLoss if log else HausdorffDTLoss)(
        alpha=alpha, include_background=background, batch=batch, reduction=reduction, **{activation: True}
    )
    options = {'activation': activation, 'alpha': alpha, 'log': log, 'batch': batch}
    return {**options, 'background': background, 'reduction': reduction}, x, labels, theirs(x, masks)


def cldice(pick):
    x, labels, masks = make_problem(pick, pick.choice([1, 2]), digits=6)  # no ties: PyTorch halves some gradients there
    activation = 'sigmoid' if x.shape[1] == 1 else 'softmax'
    n, d, h = pick.choice([1.0, 0.5]), pick.choice([1.0, 0.25]), pick.choice([1e-4, 0.1])
    iterations, reduction, alpha = pick.randint(0, 4), pick.choice(['mean', 'sum']), pick.choice([1, 0.5, 0.2])
    options = {'smooth_nr': n, 'smooth_dr': d, 'smooth': h, 'reduction': reduction, 'include_background': x.shape[1] == 1}
    if alpha == 1:
        theirs = SoftclDiceLoss(iter_=iterations, **options, **{activation: True})
    else:
        theirs = SoftDiceclDiceLoss(iter_=iterations, alpha=alpha, **options, **{activation: True})
    smoothing = {'smoothNumerator': n, 'smoothDenominator': d, 'smoothHarmonic': h}
    ours = {'activation': activation, 'iterations': iterations, 'reduction': reduction, 'alpha': alpha, **smoothing}
    return {**ours, 'background': x.shape[1] == 1}, x, labels, theirs(x, masks)


LOSSES = {'boundary': boundary, 'hausdorff': hausdorff, 'cldice': cldice}


def solve(name, seed):
    options, x, labels, loss = LOSSES[name](random.Random(f'{name} {seed}'))
    (gradient,) = torch.autograd.grad(loss, x)
    return {
        'loss': name,
        'options': options,
        'shape': list(x.shape),
        'x': x.flatten().tolist(),
        'labels': labels.flatten().tolist(),
        'value': loss.item(),
        'gradient': [float(f'{g:.10g}') for g in gradient.flatten().tolist()],
    }


def main(count, seed, out):
    cases = [solve(name, int(seed) + i) for name in LOSSES for i in range(int(count))]
    versions = {name: version(name) for name in ('monai', 'scipy', 'torch')}
    with open(out, 'w', encoding='utf-8') as file:
        lines = ',\n'.join(json.dumps(case) for case in cases)
        file.write(f'{{"versions": {json.dumps(versions)}, "cases": [\n{lines}\n]}}\n')


main(*sys.argv[1:])
