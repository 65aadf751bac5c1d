"""Value and gradient of the Dice loss in PyTorch, from logits [N,C,S] and labels [N,S].

    L = mean over (n,c) of 1 - 2I/D,  I = sum p t,  D = sum p^2 + sum t^2 + 1e-7

Sums in float32, also for half-precision logits. A version takes (z, y, activation) and returns (value, dL/dz).
"""

import torch
import torch.nn.functional as F

SMOOTH = 1e-7


def loss(z, y, activation):
    """The formula as one writes it; the target stays a comparison, which a compiler can fuse."""
    z = z.float()
    p = torch.softmax(z, 1) if activation == "softmax" else torch.sigmoid(z)
    if z.shape[1] == 1:
        t = y.unsqueeze(1).to(p.dtype)
    else:
        t = (y.unsqueeze(1) == torch.arange(z.shape[1], device=z.device).view(1, -1, 1)).to(p.dtype)
    intersection, denominator = (p * t).sum(2), (p * p).sum(2) + (t * t).sum(2) + SMOOTH
    return (1 - 2 * intersection / denominator).mean()


def value_and_gradient(function):
    def run(z, y, activation):
        z = z.detach().requires_grad_()
        value = function(z, y, activation)
        (gradient,) = torch.autograd.grad(value, z)
        return value.detach(), gradient

    return run


eager = value_and_gradient(loss)


def one_hot_loss(z, y, activation):
    """As loss libraries write it: F.one_hot and a float target."""
    z = z.float()
    p = torch.softmax(z, 1) if activation == "softmax" else torch.sigmoid(z)
    t = y.unsqueeze(1).float() if z.shape[1] == 1 else F.one_hot(y.long(), z.shape[1]).movedim(-1, 1).float()
    intersection, denominator = (p * t).sum(2), (p * p).sum(2) + (t * t).sum(2) + SMOOTH
    return (1 - 2 * intersection / denominator).mean()


eager_one_hot = value_and_gradient(one_hot_loss)


def by_hand(z, y, activation):
    """Without autograd, for torch.compile: two passes over the logits, everything else fused into them."""
    zf = z.float()
    if z.shape[1] == 1:
        t = y.unsqueeze(1) == 1
    else:
        t = y.unsqueeze(1) == torch.arange(z.shape[1], device=z.device).view(1, -1, 1)
    p = torch.softmax(zf, 1) if activation == "softmax" else torch.sigmoid(zf)
    intersection = torch.where(t, p, 0.0).sum(2, keepdim=True)
    D = (p * p).sum(2, keepdim=True) + t.sum(2, keepdim=True) + SMOOTH
    value = (1 - 2 * intersection / D).mean()
    at_target, slope = -2 / (D * D.numel()), 4 * intersection / (D * D * D.numel())
    dp = torch.where(t, at_target, 0.0) + slope * p
    if activation == "softmax":
        gradient = p * (dp - (p * dp).sum(1, keepdim=True))
    else:
        gradient = dp * p * (1 - p)
    return value, gradient.to(z.dtype)


def compiled(**options):
    """torch.compile of both ways to write it; the faster one counts."""
    forward = torch.compile(loss, dynamic=False, **options)
    return {
        "torch.compile, autograd": value_and_gradient(forward),
        "torch.compile, by hand": torch.compile(by_hand, dynamic=False, **options),
    }


def reference(z, y, activation):
    """In float64, for comparison."""
    value, gradient = value_and_gradient(loss_in_double)(z.double(), y, activation)
    return value, gradient


def loss_in_double(z, y, activation):
    p = torch.softmax(z, 1) if activation == "softmax" else torch.sigmoid(z)
    t = torch.zeros_like(p)
    if z.shape[1] == 1:
        t.copy_(y.unsqueeze(1))
    else:
        t.scatter_(1, y.long().unsqueeze(1), 1.0)
    intersection, denominator = (p * t).sum(2), (p * p).sum(2) + (t * t).sum(2) + SMOOTH
    return (1 - 2 * intersection / denominator).mean()
