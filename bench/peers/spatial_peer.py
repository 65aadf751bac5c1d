"""The other side of spatial.mjs: for each line {loss, shape} one step of MONAI, or of the authors with SciPy: value and gradient.

spatial_peer.py THREADS. Prints a line {seconds, value} for each.
"""

import json
import sys
import time

import numpy as np
import torch
from monai.losses import HausdorffDTLoss, SoftclDiceLoss
from scipy.ndimage import distance_transform_edt

torch.set_num_threads(int(sys.argv[1]))


def make_problem(n, c, *size):
    """That of spatial.mjs."""
    square = sum((axis / length - 0.5) ** 2 for axis, length in zip(np.indices(size), size))
    square = np.broadcast_to(square, (n, *size))
    noise = ((np.arange(square.size, dtype=np.uint64) * 2654435761) % 2**32 / 2**32 - 0.5) * 2
    logits = np.zeros((n, c, *size), np.float32)
    logits[:, -1] = (0.3 - np.sqrt(square)) * 20 + noise.reshape(square.shape)
    return torch.tensor(logits), torch.tensor(square < 0.09)[:, None]


def one_hot(labels, classes):
    return (labels if classes == 1 else torch.cat([labels == c for c in range(classes)], 1)).float()


def signed_distance(mask):
    return distance_transform_edt(~mask) * ~mask - (distance_transform_edt(mask) - 1) * mask


def boundary(x, target):
    maps = np.array([[signed_distance(mask) for mask in sample] for sample in target.numpy() > 0])
    return (x.sigmoid() * torch.tensor(maps, dtype=torch.float32)).mean()


LOSSES = {'boundary': boundary, 'hausdorff': HausdorffDTLoss(sigmoid=True), 'cldice': SoftclDiceLoss(sigmoid=True)}
problems = {}
for line in sys.stdin:
    question = json.loads(line)
    shape = tuple(question['shape'])
    if shape not in problems:
        logits, labels = make_problem(*shape)
        problems[shape] = logits.requires_grad_(), one_hot(labels, shape[1])
    x, target = problems[shape]
    start = time.perf_counter()
    x.grad = None
    value = LOSSES[question['loss']](x, target)
    value.backward()
    print(json.dumps({'seconds': time.perf_counter() - start, 'value': value.item()}), flush=True)
