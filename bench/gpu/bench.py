"""Dice loss on a GPU: warpdice beside a device-to-device copy, PyTorch eager, torch.compile and Triton, in one process; then
the loss of a head (head.py).

    python3 bench/gpu/bench.py --library build-gpu/test/cuda/gpu/libwarpdice_gpu.so [--json FILE] [--quick] [--filter TEXT]

README.md says what the numbers mean, outcome.py what the targets are and what the exit code does.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys

import torch

import head_cases
import torch_versions
from head import HeadProblem
from outcome import exit_code, targets_of
from timing import graphed, interleaved, quick_time, summary, worst_excess
from warpdice_gpu import Library, Plan

# [N, C, S], activation, dtype, channels last. "large" cases are at least four times the L2 of an H100 or H200.
CASES = [
    ((8, 1, 4096 * 4096), "sigmoid", torch.float32, False),
    ((8, 4, 2048 * 2048), "softmax", torch.float32, False),
    ((2, 3, 256**3), "softmax", torch.float32, False),
    ((8, 19, 1024 * 1024), "softmax", torch.float32, False),
    ((8, 4, 2048 * 2048), "softmax", torch.float16, False),
    ((8, 4, 2048 * 2048), "softmax", torch.bfloat16, False),
    ((8, 4, 2048 * 2048), "softmax", torch.float32, True),
    ((8, 64, 512 * 512), "softmax", torch.float32, False),
    ((8, 150, 512 * 512), "softmax", torch.float32, False),
    ((4, 256, 512 * 512), "softmax", torch.float32, False),
    ((4, 4, 512 * 512), "softmax", torch.float32, False),
    ((2, 3, 64**3), "softmax", torch.float32, False),
]


def gpu_line(query):
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "--id=0"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def machine():
    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "l2_bytes": properties.L2_cache_size,
        "memory_bytes": properties.total_memory,
        "driver": gpu_line("driver_version"),
        "clocks_now": gpu_line("clocks.sm,clocks.mem"),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "commit": os.environ.get("WARPDICE_COMMIT", "unknown"),
        "command": " ".join(sys.argv),
    }


def name_of(case):
    (N, C, S), activation, dtype, channels_last = case
    layout = ", channels last" if channels_last else ""
    return f"[{N},{C},{S}] {activation} {str(dtype).split('.')[1]}{layout}"


class Problem:
    """Sets of random logits and labels, together beyond the L2 four times."""

    def __init__(self, case):
        (N, C, S), self.activation, dtype, self.channels_last = case
        self.name = name_of(case)
        self.shape, self.dtype = (N, C, S), dtype
        bytes_of_set = N * C * S * dtype.itemsize + N * S
        l2 = torch.cuda.get_device_properties(0).L2_cache_size
        self.sets = max(2, math.ceil(4 * l2 / bytes_of_set))
        layout = (N, S, C) if self.channels_last else (N, C, S)
        self.logits = [4 * torch.randn(layout, device="cuda", dtype=dtype) for _ in range(self.sets)]
        self.labels = [torch.randint(0, max(C, 2), (N, S), device="cuda", dtype=torch.uint8) for _ in range(self.sets)]
        self.logits_bytes = self.set_bytes = N * C * S * dtype.itemsize
        self.label_bytes = N * S
        self.value = torch.empty(1, device="cuda", dtype=torch.float64)
        self.gradient = torch.empty_like(self.logits[0])

    def seen(self, tensor):
        """As [N,C,S], whatever the layout."""
        return tensor.movedim(-1, 1) if self.channels_last else tensor

    def contenders(self, library):
        return contenders_of(self, library)

    def clear(self):
        self.gradient.fill_(float("nan"))

    def reference(self):
        return torch_versions.reference(self.seen(self.logits[0]), self.labels[0], self.activation)

    def fault_of(self, name, result, reference):
        return fault_of(result, reference, self.dtype)

    def speed(self, name, ms):
        # statistics read logits and labels; the gradient reads them again and writes itself.
        read = self.logits_bytes + self.label_bytes
        moved = {
            "copy": 2 * self.logits_bytes,
            "warpdice, statistics": read,
            "warpdice, gradient": read + self.logits_bytes,
        }
        return {"gb_per_s": moved.get(name, 2 * read + self.logits_bytes) / ms / 1e6}


def contenders_of(problem, library):
    """
    Name to (run(i), result(), bytes). result gives value and gradient [N,C,S] of set 0 after run(0), null for limits. bytes: what
    a contender keeps on the device from call to call, beside results.
    """
    p = problem
    plan = Plan(library, p.shape, p.dtype, torch.uint8, p.activation, p.channels_last)
    last = {}

    def ours(statistics, differentiate):
        return lambda i: plan.run(
            p.logits[i % p.sets], p.labels[i % p.sets], p.value, p.gradient, statistics, differentiate
        )

    def theirs(name, version):
        def run(i):
            last.pop(name, None)  # its memory is the next one's
            last[name] = version(p.seen(p.logits[i % p.sets]), p.labels[i % p.sets], p.activation)

        return run, lambda: last[name], 0

    kept = plan.kept_bytes()
    runs = {
        "copy": (lambda i: p.gradient.copy_(p.logits[i % p.sets]), None, 0),
        "warpdice": (ours(True, True), lambda: (p.value[0], p.seen(p.gradient)), kept),
        "warpdice, statistics": (ours(True, False), None, kept),
        "warpdice, gradient": (ours(False, True), None, kept),
        "PyTorch eager": theirs("PyTorch eager", torch_versions.eager),
        "PyTorch eager, one-hot": theirs("PyTorch eager, one-hot", torch_versions.eager_one_hot),
    }
    for name, version in torch_versions.compiled().items():
        runs[name] = theirs(name, version)
    if not p.channels_last:
        from triton_version import fastest

        out = torch.empty_like(p.gradient)
        fused = fastest(p.logits[0], p.labels[0], out, p.activation, quick_time)
        run, result, _ = theirs("Triton, fused", lambda z, y, activation: fused(z, y, out, activation))
        runs["Triton, fused"] = run, result, fused.kept_bytes()
    return runs


def highest_bytes(run):
    """By how much the memory of PyTorch's tensors grows during a call, whose result replaces that of the call before."""
    run(0)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    there = torch.cuda.memory_allocated()
    run(0)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - there


def fault_of(result, reference, dtype):
    """What is wrong with a value and gradient, if anything. Others sum in float32: ten times our tolerance."""
    value, gradient = result
    true_value, true_gradient = reference
    off = abs(value.double() - true_value).item()
    if not off <= 1e-5 * max(abs(true_value.item()), 0.1):
        return f"value {value.item()} instead of {true_value.item()}"
    worst = worst_excess(gradient, true_gradient, dtype)
    return None if worst <= 0 else f"gradient is off by {worst} more than allowed"


def measure(problem, library, rounds):
    small = problem.set_bytes < 2**25
    runs, faults, timed, allocated = {}, {}, {}, {}
    try:
        runs = problem.contenders(library)
    except torch.cuda.OutOfMemoryError as error:
        return {"case": problem.name, "skipped": str(error)}
    reference = None
    for name, (run, result, kept) in runs.items():
        try:
            problem.clear()
            run(0)
            torch.cuda.synchronize()
            if result is not None:
                if reference is None:  # of one sample at a time it would be another loss; so only where it fits
                    reference = problem.reference()
                fault = problem.fault_of(name, result(), reference)
                if fault:
                    faults[name] = fault
                    continue
            allocated[name] = highest_bytes(run) + kept
            timed[name] = graphed(run, problem.sets) if small and "compile" not in name else run
        except RuntimeError as error:  # out of memory, too
            faults[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            torch.cuda.empty_cache()
    reference = None
    torch.cuda.empty_cache()
    samples = interleaved(timed, rounds)
    rows = {}
    for name, ms in samples.items():
        row = {"ms": summary(ms), "bytes": allocated[name]}
        if "warpdice" in samples:
            row["x_warpdice"] = summary([a / b for a, b in zip(ms, samples["warpdice"])])
        row.update(problem.speed(name, row["ms"]["median"]))
        if "copy" in samples:
            row["of_copy"] = row["gb_per_s"] / problem.speed("copy", summary(samples["copy"])["median"])["gb_per_s"]
        rows[name] = row
    return {"case": problem.name, "sets": problem.sets, "graphs": small, "rows": rows, "faults": faults}


def report(result):
    print(f"\n{result['case']}" + (" (CUDA graphs)" if result.get("graphs") else ""))
    if "skipped" in result:
        return print(f"  skipped: {result['skipped']}")
    for name, row in result["rows"].items():
        ms = row["ms"]
        ratio = row.get("x_warpdice", {}).get("median", float("nan"))
        if "gb_per_s" in row:
            speed = f"{row['gb_per_s']:7.0f} GB/s  {row.get('of_copy', float('nan')):5.2f} of copy"
        else:
            speed = f"{row['tflop_per_s']:7.2f} TFLOP/s"
        print(
            f"  {name:26s} {ms['median']:9.4f} ms [{ms['q1']:.4f}, {ms['q3']:.4f}]"
            f"  {speed}  {ratio:6.2f} x warpdice  {row['bytes'] / 1e6:8.1f} MB"
        )
    for name, fault in result["faults"].items():
        print(f"  {name}: not timed, {fault}")
    for what, limit, measured in targets_of(result):
        print(f"  target: {what} at least {limit}: {measured:.2f} {'met' if measured >= limit else 'NOT MET'}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--library", required=True)
    arguments.add_argument("--json")
    arguments.add_argument("--filter", default="")
    arguments.add_argument("--quick", action="store_true")
    options = arguments.parse_args()
    if not torch.cuda.is_available():
        sys.exit("bench.py: PyTorch finds no GPU")
    torch.manual_seed(1)
    found = {"machine": machine(), "results": []}
    print(json.dumps(found["machine"], indent=2))
    library = Library(options.library)
    problems = [(name_of(case), Problem, case) for case in CASES]
    problems += [(head_cases.name_of(case), HeadProblem, case) for case in head_cases.CASES]
    for name, make, case in problems:
        if options.filter not in name:
            continue
        torch.compiler.reset()
        result = measure(make(case), library, 5 if options.quick else 30)
        result["targets"] = [
            {"target": what, "limit": limit, "measured": measured, "met": measured >= limit}
            for what, limit, measured in targets_of(result)
        ]
        found["results"].append(result)
        report(result)
        torch.cuda.empty_cache()
        if options.json:  # after every case: a run that is cut short leaves what it has
            with open(options.json, "w") as file:
                json.dump(found, file, indent=1)
    sys.exit(exit_code(found["results"]))


if __name__ == "__main__":
    main()
