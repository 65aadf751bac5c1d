"""A 1x1 convolution and the Dice loss of its softmax in PyTorch on the CPU, eager and compiled: what linearLogits is compared with.

    python bench/peers/torch_head.py N K C S threads eager|compiled|products

Prints a line of JSON: the milliseconds of a call and those of the processor (medians), the memory beyond inputs and gradients
(the largest growth of the resident memory in 10^6 bytes). linear_logits.mjs does the same for ours. `products` makes the three
products alone, without any loss: the logits, and the gradients of features and weights from a gradient of logits that is there.
"""

import json
import resource
import sys
import time

import torch

N, K, C, S = (int(text) for text in sys.argv[1:5])
torch.set_num_threads(int(sys.argv[5]))


def dice(x, w, b, y):
    """Squared denominators, a boolean one-hot target, as in MONAI and nnU-Net."""
    p = torch.softmax(torch.nn.functional.conv1d(x, w.unsqueeze(-1), b), 1)
    t = torch.zeros(p.shape, dtype=torch.bool).scatter_(1, y.unsqueeze(1), 1)
    intersection = (p * t).sum(2)
    denominator = (p * p).sum(2) + t.sum(2)
    return (1 - 2 * intersection / (denominator + 1e-7)).mean()


generator = torch.Generator().manual_seed(1)
x = torch.randn(N, K, S, generator=generator, requires_grad=True)
w = (torch.randn(C, K, generator=generator) / K**0.5).requires_grad_()
b = torch.randn(C, generator=generator, requires_grad=True)
y = torch.randint(0, C, (N, S), generator=generator)
for leaf in (x, w, b):
    leaf.grad = torch.zeros_like(leaf)

name = sys.argv[6]
version = torch.compile(dice) if name == "compiled" else dice


def products(x, w, z, dz, dx, dw):
    torch.matmul(w, x, out=z)
    torch.matmul(w.t(), dz, out=dx)
    torch.matmul(dz, x.transpose(1, 2), out=dw)
    return dw.sum(0), dz.sum((0, 2))


with torch.no_grad():
    arrays = [x, w, *(torch.ones(shape) for shape in ((N, C, S), (N, C, S), (N, K, S), (N, C, K)))] if name == "products" else []
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ms, cpu_ms = [], []
while len(ms) < 4 or (sum(ms[1:]) < 1000 and len(ms) < 50):
    start, cpu_start = time.perf_counter(), time.process_time()
    if name == "products":
        with torch.no_grad():
            products(*arrays)
    else:
        for leaf in (x, w, b):
            leaf.grad.zero_()
        version(x, w, b, y).backward()
    ms.append((time.perf_counter() - start) * 1e3)
    cpu_ms.append((time.process_time() - cpu_start) * 1e3)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
median = lambda numbers: sorted(numbers[1:])[len(numbers[1:]) // 2]
print(json.dumps({"version": name, "torch": torch.__version__, "ms": median(ms), "cpuMs": median(cpu_ms), "mb": grown}))
