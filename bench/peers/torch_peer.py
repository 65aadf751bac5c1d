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
    """
    Squared denominators, without autograd: a few samples or one at a time, in pieces that the caches hold, every operation into
    memory that was allocated once. What PyTorch does slowly is avoided: the one-hot target is a comparison of floats, which is
    vectorised where scatter and gather by int64 are not, and softmax over the classes is put together from vectorised operations.
    """

    PIECE = 2**18  # elements

    def __init__(self):
        self.shape = None

    def __call__(self, z, y, activation):
        with torch.no_grad():
            z = z.detach()
            if self.shape != z.shape:
                self.allocate(z.shape)
            N, C, _ = z.shape
            total = 0
            for n in range(0, N, self.samples):
                at = slice(n, min(n + self.samples, N))
                self.y[: at.stop - n].copy_(y[at].unsqueeze(1))
                I, P, T = self.forward(z[at], activation)
                D = P + T + SMOOTH
                total += (1 - 2 * I / D).sum()
                self.backward(self.grad[at], -2 / D / (N * C), 4 * I / (D * D) / (N * C), activation)
            return total / (N * C), self.grad

    def allocate(self, shape):
        N, C, S = self.shape = shape
        self.samples = max(1, min(N, self.PIECE // (C * S)))
        self.step = max(1, min(S, self.PIECE // C))
        B, K = self.samples, self.step
        self.classes = torch.ones(1, 1) if C == 1 else torch.arange(C, dtype=torch.float32).view(C, 1)
        self.grad, self.p, self.y = torch.empty(shape), torch.empty(B, C, S), torch.empty(B, 1, S)
        self.t, self.work, self.row = torch.empty(B, C, K), torch.empty(B, C, K), torch.empty(B, 1, K)

    def pieces(self, B):
        """Of B samples: a range of voxels, p there, and t, work and row as large."""
        S = self.shape[2]
        for a in range(0, S, self.step):
            voxels = slice(a, min(a + self.step, S))
            K = voxels.stop - a
            t = torch.eq(self.y[:B, :, voxels], self.classes, out=self.t[:B, :, :K])
            yield voxels, self.p[:B, :, voxels], t, self.work[:B, :, :K], self.row[:B, :, :K]

    def forward(self, z, activation):
        """p of a few samples, and their sums I, P, T: [3,B,C]."""
        sums = torch.zeros(3, *z.shape[:2])
        for voxels, p, t, work, row in self.pieces(len(z)):
            here = z[:, :, voxels]
            if activation == "softmax":
                torch.amax(here, 1, keepdim=True, out=row)
                torch.sub(here, row, out=p).exp_()
                p.mul_(torch.sum(p, 1, keepdim=True, out=row).reciprocal_())
            else:
                torch.sigmoid(here, out=p)
            # sum() adds in a tree; vector_norm and dot lose four digits on a large volume.
            sums[0] += torch.mul(p, t, out=work).sum(2)
            sums[1] += torch.mul(p, p, out=work).sum(2)
            sums[2] += t.sum(2)
        return sums

    def backward(self, grad, at_target, slope, activation):
        """dL/dp = at_target*t + slope*p, through the activation, into grad."""
        for voxels, p, t, work, row in self.pieces(len(grad)):
            dp = t.mul_(at_target.unsqueeze(2)).addcmul_(p, slope.unsqueeze(2))
            if activation == "softmax":
                torch.sum(torch.mul(dp, p, out=work), 1, keepdim=True, out=row)
                torch.mul(dp.sub_(row), p, out=grad[:, :, voxels])
            else:
                torch.ops.aten.sigmoid_backward(dp, p, grad_input=grad[:, :, voxels])


# Function, denominators, and how many tensors like the logits it holds: autograd keeps p, the target, and their products.
VERSIONS = {
    "MONAI": (monai, "squared", 14),
    "nnU-Net": (nnunet, "linear", 10),
    "by hand": (ByHand(), "squared", 4),
}


class Peer:
    def load(self, shape, activation, logits, labels):
        N, C, S = shape
        self.activation = activation
        self.z = torch.from_numpy(np.fromfile(logits, np.float32).reshape(N, C, S)).requires_grad_()
        self.y = torch.from_numpy(np.fromfile(labels, np.uint8).astype(np.int64).reshape(N, S))
        versions = [{"name": name, "denominator": d, "tensors": n} for name, (_, d, n) in VERSIONS.items()]
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
