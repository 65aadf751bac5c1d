"""Interleaved timing with CUDA events: contenders take turns, round after round, and rotate through sets of inputs."""

import statistics

import torch


def summary(samples):
    ordered = sorted(samples)
    quarter = statistics.quantiles(ordered, n=4) if len(ordered) > 1 else [ordered[0]] * 3
    return {"median": quarter[1], "q1": quarter[0], "q3": quarter[2], "min": ordered[0], "samples": len(ordered)}


def worst_excess(gradient, true_gradient, dtype, share=1e-4):
    """How much more than allowed a gradient is off at most: a share of the largest, half an ulp of a half-precision dtype."""
    largest = true_gradient.abs().max()
    ulp = {torch.float16: 2**-11, torch.bfloat16: 2**-8}.get(dtype, 0)
    subnormal = 2**-25 if dtype == torch.float16 else 0
    allowed = share * largest + ulp * true_gradient.abs() + subnormal
    return ((gradient.double() - true_gradient).abs() - allowed).max().item()


def milliseconds(run, calls):
    """One sample: the mean of `calls` calls; run(i) makes the i-th."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for i in range(calls):
        run(i)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / calls


def calls_for(run, at_least_ms=2.0, least=2):
    """How many calls a sample needs for launch gaps and the clock's resolution not to matter."""
    milliseconds(run, least)  # compiles, loads, fills the caches
    once = milliseconds(run, least)
    return max(least, min(1000, int(at_least_ms / max(once, 1e-4))))


def quick_time(run):
    calls = calls_for(lambda _: run())
    return statistics.median(milliseconds(lambda _: run(), calls) for _ in range(5))


def interleaved(contenders, rounds):
    """contenders: name to run(i). Returns samples in ms by name; a sample of each in every round."""
    calls = {name: calls_for(run) for name, run in contenders.items()}
    samples = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            samples[name].append(milliseconds(run, calls[name]))
    return samples


def graphed(run, sets):
    """The same calls as CUDA graphs, one for each set of inputs: for tensors so small that launching takes longest."""
    graphs = []
    for i in range(sets):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            run(i)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run(i)
        graphs.append(graph)
    return lambda i: graphs[i % sets].replay()
