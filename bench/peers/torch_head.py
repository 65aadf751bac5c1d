"""A 1x1 convolution and the Dice loss of its softmax in PyTorch on the CPU, eager and compiled: what linearLogits is compared with.

    python bench/peers/torch_head.py N K C S threads eager|compiled

Prints a line of JSON: the milliseconds of a call and those of the processor (medians), the memory beyond inputs and gradients
(the largest growth of the resident memory in 10^6 bytes), and the value. linear_logits.mjs does the same for ours.
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
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ms, cpu_ms = [], []
while len(ms) < 4 or (sum(ms[1:]) < 2000 and len(ms) < 50):
    start, cpu_start = time.perf_counter(), time.process_time()
    for leaf in (x, w, b):
        leaf.grad.zero_()
    value = version(x, w, b, y)
    value.backward()
    ms.append((time.perf_counter() - start) * 1e3)
    cpu_ms.append((time.process_time() - cpu_start) * 1e3)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
median = lambda numbers: sorted(numbers[1:])[len(numbers[1:]) // 2]
print(json.dumps({"version": name, "torch": torch.__version__, "ms": median(ms), "cpuMs": median(cpu_ms), "mb": grown, "value": value.item()}))
