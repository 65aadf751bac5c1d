"""The other side of top-k-speed.mjs: for each line, a shape, prints the milliseconds of one step: top_k_speed.py THREADS."""

import json
import sys
import time

import torch
from nnunetv2.training.loss.robust_ce_loss import TopKLoss

torch.set_num_threads(int(sys.argv[1]))
loss = TopKLoss(k=10)
problems = {}
for line in sys.stdin:
    n, c, *size = json.loads(line)
    if line not in problems:
        x = (4 * torch.rand(n, c, *size) - 2).requires_grad_()
        problems[line] = x, torch.randint(0, c, (n, 1, *size))
    x, labels = problems[line]
    x.grad = None
    start = time.perf_counter()
    loss(x, labels).backward()
    print(1e3 * (time.perf_counter() - start), flush=True)
