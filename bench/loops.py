"""Counts, by llvm-mca, the cycles of the loops that the four main shapes run: python3 bench/loops.py [--simd avx512] [--cpu icelake-server]

Build first. Prints each innermost loop of the passes for float32 logits and uint8 labels: its instructions, and the cycles that one
element of a class takes, where an iteration is eight vectors of one class. A static model: loads hit the first-level cache, branches
are foreseen. Needs objdump and llvm-mca (Debian: llvm-19).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

LANES = {"avx512": 16, "avx2": 8, "baseline": 4}
LABELS = r".*LabelTarget<float, {label}>, float"
# Object, and the functions by what they do: no entropy, no weights. `kept`: step 3 reads the probabilities that step 1 kept.
PASSES = [
    ("statistics", "sigmoid, step 1", "sigmoid_statistics<float, false, false, " + LABELS.format(label="unsigned char") + ">"),
    ("gradient", "sigmoid, step 3, kept", "pointwise_gradient<float, true, false, true, false, " + LABELS.format(label="int")),
    ("gradient", "sigmoid, step 3", "pointwise_gradient<float, true, false, false, false, " + LABELS.format(label="int")),
    ("statistics", "softmax, step 1", "softmax_statistics<float, false, " + LABELS.format(label="int") + ">"),
    ("statistics", "softmax of 12 to 24 classes, step 1", "prefetching_statistics<float, " + LABELS.format(label="int") + ">"),
    ("gradient", "softmax, step 3, kept", "softmax_gradient<float, false, true, false, " + LABELS.format(label="int")),
    ("gradient", "softmax, step 3", "softmax_gradient<float, false, false, false, " + LABELS.format(label="int")),
]
FEWEST = 20  # instructions; shorter loops are of what is left of a vector


def functions(file):
    """Name to instructions, [(address, text)]."""
    text = subprocess.run(["objdump", "-dC", "--no-show-raw-insn", file], capture_output=True, text=True, check=True).stdout
    for block in re.split(r"\n(?=[0-9a-f]+ <)", text):
        if name := re.match(r"[0-9a-f]+ <(.*)>:", block):
            yield name[1], [(int(a, 16), t.strip()) for a, t in re.findall(r"^\s+([0-9a-f]+):\t(.*)$", block, re.M)]


def innermost_loops(code):
    index = {address: i for i, (address, _) in enumerate(code)}
    loops = set()
    for i, (_, text) in enumerate(code):
        jump = re.match(r"j\w+\s+([0-9a-f]+)\b", text)
        target = index.get(int(jump[1], 16)) if jump else None
        if target is not None and target <= i - FEWEST:
            loops.add((target, i))
    return sorted(a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops))


def cycles_of(mca, cpu, lines):
    kept = [re.sub(r"\s*[#<].*$", "", line) for line in lines if not re.match(r"j|call|ret|nop|data16|cs ", line)]
    command = [mca, "-mtriple=x86_64", f"-mcpu={cpu}", "-iterations=200"]
    done = subprocess.run(command, input="\n".join(kept), capture_output=True, text=True, check=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / 200


parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("--simd", default="avx512", choices=LANES)
parser.add_argument("--cpu", default="icelake-server", help="as llvm-mca names it: also znver3, znver4")
options = parser.parse_args()
names = ["llvm-mca", *(f"llvm-mca-{version}" for version in range(14, 30))]
found = [name for name in names if shutil.which(name)]
if not found:
    sys.exit("llvm-mca is not there: install llvm-19")
folder = os.path.join(os.path.dirname(__file__), f"../build/CMakeFiles/kernels_{options.simd}.dir/native/cpu/kernels")
objects = {name: dict(functions(f"{folder}/{name}.cc.o")) for name in ("statistics", "gradient")}
elements = 8 * LANES[options.simd]
for file, title, pattern in PASSES:
    for name, code in objects[file].items():
        if not re.search(pattern, name):
            continue
        print(title)
        for first, last in innermost_loops(code):
            lines = [text for _, text in code[first:last]]
            cycles = cycles_of(found[-1], options.cpu, lines)
            print(f"  {len(lines) + 1:4} instructions, {cycles:6.1f} cycles, {cycles / elements:.2f} an element")
