"""Dice losses in PyTorch on the CPU, timed here and driven by lines of JSON on stdin (torch.ts).

The losses of other libraries (torch_losses.py), eager and compiled, and the best we could write by hand (torch_by_hand.py). All take
logits [N,C,S] and labels [N,S] and give the value and dL/dlogits.
"""

import json
import sys
import time

import numpy as np
import torch
from torch_by_hand import Compiled, Eager


def with_autograd(loss):
    def run(z, y):
        z.grad = None
        value = loss(z, y)
        value.backward()
        return value.detach(), z.grad

    return run


class Peer:
    def load(self, shape, activation, logits, labels, libraries):
        N, C, S = shape
        self.z = torch.from_numpy(np.fromfile(logits, np.float32).reshape(N, C, S)).requires_grad_()
        # int64 is what gather and one_hot need.
        self.y = torch.from_numpy(np.fromfile(labels, np.uint8).astype(np.int64).reshape(N, S))
        self.runs, versions = {}, []

        def add(name, loss, tensors, run):
            self.runs[name] = run
            # smp's sums over samples and voxels lose digits in float32.
            within = 1e-3 if name.startswith("smp") else 1e-5
            versions.append({"name": name, "loss": loss, "tensors": tensors, "within": within})

        found = []
        if libraries:
            from torch_losses import library_losses

            found = library_losses(C, activation)
        for name, loss, tensors, function in found:
            add(name, loss, tensors, with_autograd(function))
            if "cross-entropy" not in loss:  # to compile one takes ten seconds on each shape
                add(f"{name}, compiled", loss, tensors, with_autograd(torch.compile(function, dynamic=False)))
        for name, make in (("by hand", Eager), ("by hand, compiled", Compiled)):
            step = make()
            add(name, "Dice", 4, lambda z, y, step=step: step(z, y, activation))
        return {"versions": versions, "torch": torch.__version__}

    def check(self, name, gradient, threads):
        torch.set_num_threads(threads)
        value, grad = self.runs[name](self.z, self.y)
        grad.numpy().tofile(gradient)
        return {"value": value.item()}

    def time(self, name, calls, threads):
        torch.set_num_threads(threads)
        run = self.runs[name]
        start = time.perf_counter_ns()
        for _ in range(calls):
            run(self.z, self.y)
        return {"ms": (time.perf_counter_ns() - start) / 1e6}


# A compiled function is compiled anew for another number of threads; what an earlier process compiled does not know that number.
torch._dynamo.config.recompile_limit = 64
torch._inductor.config.fx_graph_cache = False
peer = Peer()
answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no answer
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = getattr(peer, request.pop("command"))(**request)
    except Exception as error:  # the driver names it beside the version that failed
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, flush=True)
