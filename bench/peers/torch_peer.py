"""Dice losses in PyTorch on the CPU, timed here and driven by lines of JSON on stdin (torch.ts).

All compute L = mean over (n,c) of 1 - 2I/D from logits [N,C,S] and labels [N,S], with I = sum p t and
D = sum p^k + sum t^k + 1e-7 (k = 2 squared, 1 linear), and dL/dlogits by autograd or by hand. They are written
after the published formulas; int64 labels are what gather and one_hot need.
"""

import json
import sys
import time

import numpy as np
import torch

SMOOTH = 1e-7


def probabilities(z, activation):
    return torch.softmax(z, 1) if activation == "softmax" else torch.sigmoid(z)


def one_hot(y, like, boolean):
    """[N,S] to [N,C,S]; with one class the labels are the mask."""
    if like.shape[1] == 1:
        t = y.unsqueeze(1)
        return t.bool() if boolean else t.to(like.dtype)
    t = torch.zeros(like.shape, dtype=torch.bool if boolean else like.dtype)
    return t.scatter_(1, y.unsqueeze(1), 1)


def backward(loss, z):
    z.grad = None
    loss.backward()
    return loss.detach(), z.grad


def monai(z, y, activation):
    """MONAI's DiceLoss(softmax or sigmoid, to_onehot_y, squared_pred): a float one-hot target and three sums."""
    p = probabilities(z, activation)
    t = one_hot(y, p, boolean=False)
    intersection = torch.sum(t * p, 2)
    denominator = torch.sum(t**2, 2) + torch.sum(p**2, 2)
    return backward(torch.mean(1.0 - 2.0 * intersection / (denominator + SMOOTH)), z)


def nnunet(z, y, activation):
    """nnU-Net's MemoryEfficientSoftDiceLoss: linear denominators, a boolean one-hot target outside autograd."""
    p = probabilities(z, activation)
    with torch.no_grad():
        t = one_hot(y, p, boolean=True)
        sum_target = t.sum(2)
    intersection = (p * t).sum(2)
    denominator = sum_target + p.sum(2)
    return backward(1.0 - (2.0 * intersection / (denominator + SMOOTH)).mean(), z)


class ByHand:
    """Squared denominators without one-hot targets and without autograd; every large tensor is allocated once."""

    def __init__(self):
        self.p = None

    def __call__(self, z, y, activation):
        with torch.no_grad():
            z = z.detach()
            if self.p is None or self.p.shape != z.shape:
                self.p, self.dp, self.grad = torch.empty_like(z), torch.empty_like(z), torch.empty_like(z)
                self.rows = torch.arange(z.shape[0]).unsqueeze(1) * z.shape[1]
            return self.softmax(z, y) if activation == "softmax" else self.sigmoid(z, y)

    def coefficients(self, intersection, prediction, target):
        """Value, and dL/dp = at_target*t + slope*p: [N,C]."""
        D = prediction + target + SMOOTH
        count = D.numel()
        return (1 - 2 * intersection / D).mean(), -2 / D / count, 4 * intersection / (D * D) / count

    def softmax(self, z, y):
        N, C, _ = z.shape
        p, dp, index = self.p, self.dp, y.unsqueeze(1)
        torch._softmax(z, 1, False, out=p)
        cells = (y + self.rows).view(-1)  # n*C + label
        at_label = p.gather(1, index).view(-1).double()  # bincount adds one by one
        intersection = torch.bincount(cells, at_label, N * C).view(N, C).to(z.dtype)
        target = torch.bincount(cells, minlength=N * C).view(N, C).to(z.dtype)
        # sum() adds in a tree; vector_norm and einsum would save a pass but lose four digits on a large volume.
        prediction = torch.mul(p, p, out=dp).sum(2)
        value, at_target, slope = self.coefficients(intersection, prediction, target)
        torch.mul(p, slope.unsqueeze(2), out=dp)
        dp.scatter_add_(1, index, at_target.view(-1)[cells].view(index.shape))
        torch._softmax_backward_data(dp, p, 1, z.dtype, grad_input=self.grad)
        return value, self.grad

    def sigmoid(self, z, y):
        p, dp = self.p, self.dp
        torch.sigmoid(z, out=p)
        prediction = torch.mul(p, p, out=self.grad).sum(2)
        t = dp.copy_(y.unsqueeze(1))
        intersection = torch.mul(p, t, out=self.grad).sum(2)
        value, at_target, slope = self.coefficients(intersection, prediction, t.sum(2))
        dp.mul_(at_target.unsqueeze(2)).addcmul_(p, slope.unsqueeze(2))
        torch.ops.aten.sigmoid_backward(dp, p, grad_input=self.grad)
        return value, self.grad


VERSIONS = {"MONAI": (monai, "squared"), "nnU-Net": (nnunet, "linear"), "by hand": (ByHand(), "squared")}


class Peer:
    def load(self, shape, activation, logits, labels):
        N, C, S = shape
        self.activation = activation
        self.z = torch.from_numpy(np.fromfile(logits, np.float32).reshape(N, C, S)).requires_grad_()
        self.y = torch.from_numpy(np.fromfile(labels, np.uint8).astype(np.int64).reshape(N, S))
        versions = [{"name": name, "denominator": denominator} for name, (_, denominator) in VERSIONS.items()]
        return {"versions": versions, "torch": torch.__version__}

    def run(self, name):
        return VERSIONS[name][0](self.z, self.y, self.activation)

    def check(self, name, gradient):
        value, grad = self.run(name)
        grad.numpy().tofile(gradient)
        return {"value": value.item()}

    def time(self, name, calls, threads):
        torch.set_num_threads(threads)
        start = time.perf_counter_ns()
        for _ in range(calls):
            self.run(name)
        return {"ms": (time.perf_counter_ns() - start) / 1e6}


peer = Peer()
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = getattr(peer, request.pop("command"))(**request)
    except Exception as error:  # the driver names it beside the version that failed
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
