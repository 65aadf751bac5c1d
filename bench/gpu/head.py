"""The loss of a head: value and gradients of the Dice loss of logits that a 1x1 convolution makes of features [N,K,S], whose gradients
are those of features, weight [C,K] and bias [C]. bench.py times it; head_cases.py has the cases."""

import math

import torch
import torch.nn.functional as F

import torch_versions
from head_cases import flop_of, name_of, tolerance_of
from timing import worst_excess
from warpdice_gpu import HeadPlan


def composed(x, w, b, y, loss=torch_versions.loss):
    return loss(F.conv1d(x, w.unsqueeze(-1), b), y, "softmax")


def value_and_gradients(function):
    def run(x, w, b, y):
        leaves = [part.detach().requires_grad_() for part in (x, w, b)]
        value = function(*leaves, y)
        return value.detach(), torch.autograd.grad(value, leaves)

    return run


def reference(x, w, b, y):
    """In float64, for comparison."""
    in_double = value_and_gradients(lambda *parts: composed(*parts, loss=torch_versions.loss_in_double))
    return in_double(x.double(), w.double(), b.double(), y)


class HeadProblem:
    """Sets of random features and labels, together beyond the L2 four times; and what bench.py measures of them."""

    def __init__(self, case, device="cuda", l2_bytes=None):
        (N, K, C, S), dtype = case
        # As exact as the others: the default for convolutions is TF32.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        self.case, self.name, self.flop, self.sizes = case, name_of(case), flop_of(case), (N, K, C, S)
        self.dtype = getattr(torch, dtype)
        self.set_bytes = N * K * S * self.dtype.itemsize + N * S
        l2 = l2_bytes or torch.cuda.get_device_properties(0).L2_cache_size
        self.sets = max(2, math.ceil(4 * l2 / self.set_bytes))
        made = {"device": device, "dtype": self.dtype}
        self.features = [torch.randn((N, K, S), **made) for _ in range(self.sets)]
        self.labels = [torch.randint(0, max(C, 2), (N, S), device=device, dtype=torch.uint8) for _ in range(self.sets)]
        self.weight = torch.randn((C, K), **made) / K**0.5
        self.bias = torch.randn(C, **made)
        self.value = torch.empty(1, device=device, dtype=torch.float64)
        self.gradients = [torch.empty_like(part) for part in (self.features[0], self.weight, self.bias)]

    def contenders(self, library):
        """As contenders_of in bench.py. The result's gradients are those of features, weight and bias."""
        plan = HeadPlan(library, self.sizes, self.dtype, torch.uint8, "softmax")
        last = {}

        def ours(i):
            features, labels = self.features[i % self.sets], self.labels[i % self.sets]
            plan.run(features, self.weight, self.bias, labels, self.value, self.gradients)

        def theirs(name, function):
            version = value_and_gradients(function)

            def run(i):
                last.pop(name, None)  # its memory is the next one's
                last[name] = version(self.features[i % self.sets], self.weight, self.bias, self.labels[i % self.sets])

            return run, lambda: last[name], 0

        return {
            "warpdice": (ours, lambda: (self.value[0], self.gradients), plan.kept_bytes()),
            "PyTorch eager": theirs("PyTorch eager", composed),
            "torch.compile": theirs("torch.compile", torch.compile(composed, dynamic=False)),
        }

    def clear(self):
        for gradient in self.gradients:
            gradient.fill_(float("nan"))

    def reference(self):
        return reference(self.features[0], self.weight, self.bias, self.labels[0])

    def fault_of(self, contender, result, true):
        """What is wrong with a value and gradients, if anything."""
        tolerance = tolerance_of(self.case, contender)
        value, gradients = result
        true_value, true_gradients = true
        if not abs(value.double() - true_value).item() <= 0.1 * tolerance * max(abs(true_value.item()), 0.1):
            return f"value {value.item()} instead of {true_value.item()}"
        for name, gradient, wanted in zip(("features", "weight", "bias"), gradients, true_gradients):
            worst = worst_excess(gradient, wanted, self.dtype, tolerance)
            if not worst <= 0:
                return f"gradient of {name} is off by {worst} more than allowed"
        return None

    def speed(self, name, ms):
        return {"tflop_per_s": self.flop / ms / 1e9}
