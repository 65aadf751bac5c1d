"""The other side of loss-speed.mjs: for each line {loss, shape} one step, value and gradient: loss_speed.py THREADS.

Prints a line {milliseconds, value} for each.
"""

import json
import sys
import time

import numpy as np
import segmentation_models_pytorch.losses as smp
import torch
from monai.losses import AsymmetricUnifiedFocalLoss
from monai.networks import one_hot
from nnunetv2.training.loss.robust_ce_loss import TopKLoss

torch.set_num_threads(int(sys.argv[1]))
LOSSES = {
    'topK': TopKLoss(k=10),
    'lovasz': lambda x, y, lovasz=smp.LovaszLoss('multiclass', per_image=True): lovasz(x, y[:, 0]),
    'matthews': lambda x, y, matthews=smp.MCCLoss(): matthews(x.softmax(1), one_hot(y, x.shape[1])),
    'unified': lambda x, y, unified=AsymmetricUnifiedFocalLoss(): unified(x.softmax(1), one_hot(y, 2)),
}


def make_problem(n, c, *size):
    """That of loss-speed.mjs."""

    def numbers(count, factor):
        return np.arange(count, dtype=np.uint64) * factor % 2**32 / 2**32

    voxels = n * int(np.prod(size))
    x = torch.tensor((4 * numbers(voxels * c, 2654435761) - 2).astype(np.float32)).view(n, c, *size)
    labels = torch.tensor((c * numbers(voxels, 2246822519)).astype(np.int64)).view(n, 1, *size)
    return x.requires_grad_(), labels


problems = {}
for line in sys.stdin:
    question = json.loads(line)
    shape = tuple(question['shape'])
    if shape not in problems:
        problems[shape] = make_problem(*shape)
    x, labels = problems[shape]
    x.grad = None
    start = time.perf_counter()
    value = LOSSES[question['loss']](x, labels)
    value.backward()
    print(json.dumps({'milliseconds': 1e3 * (time.perf_counter() - start), 'value': value.item()}), flush=True)
