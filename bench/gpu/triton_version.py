"""The same in Triton, fused as far as it goes: three launches, logits and labels read once per pass.

A program has a tile of all classes (padded to a power of two) by BLOCK voxels of one sample. statistics() writes partial
sums [3,N,C,programs]; coefficients() adds them in a fixed order and makes value and slopes; gradient() recomputes the
probabilities and writes dz.
"""

import torch
import triton
import triton.language as tl

SMOOTH = 1e-7


@triton.jit
def probabilities(z, valid, SOFTMAX: tl.constexpr):
    if SOFTMAX:
        z = tl.where(valid, z, float("-inf"))
        e = tl.exp(z - tl.max(z, 0)[None, :])
        return e / tl.sum(e, 0)[None, :]
    return 1 / (1 + tl.exp(-z))


@triton.jit
def load_tile(logits, labels, n, s, C, S, ROWS: tl.constexpr, BASE: tl.constexpr):
    """z, its places, which of them exist, and t."""
    c = tl.arange(0, ROWS)
    inside = s < S
    valid = (c < C)[:, None] & inside[None, :]
    at = (n * C + c[:, None]).to(tl.int64) * S + s[None, :]
    z = tl.load(logits + at, mask=valid, other=0.0).to(tl.float32)
    label = tl.load(labels + n.to(tl.int64) * S + s, mask=inside, other=255).to(tl.int32)
    t = (label[None, :] == c[:, None] + BASE) & valid
    return z, at, valid, t


@triton.jit
def statistics_kernel(logits, labels, partials, N, C, S, tiles,
                      SOFTMAX: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, BASE: tl.constexpr):
    n, program = tl.program_id(1), tl.program_id(0)
    programs = tl.num_programs(0)
    i = tl.zeros([ROWS], tl.float32)
    q = tl.zeros([ROWS], tl.float32)
    v = tl.zeros([ROWS], tl.float32)
    for tile in range(program, tiles, programs):
        s = tile * BLOCK + tl.arange(0, BLOCK)
        z, at, valid, t = load_tile(logits, labels, n, s, C, S, ROWS, BASE)
        p = tl.where(valid, probabilities(z, valid, SOFTMAX), 0.0)
        i += tl.sum(tl.where(t, p, 0.0), 1)
        q += tl.sum(p * p, 1)
        v += tl.sum(t.to(tl.float32), 1)
    c = tl.arange(0, ROWS)
    to = (n * C + c) * programs + program
    plane = N * C * programs
    tl.store(partials + to, i, mask=c < C)
    tl.store(partials + plane + to, q, mask=c < C)
    tl.store(partials + 2 * plane + to, v, mask=c < C)


@triton.jit
def coefficients_kernel(partials, slopes, losses, rows, programs, PROGRAMS: tl.constexpr):
    """slopes [2,rows]: dL/dp = slopes[0]*t + slopes[1]*p. losses [rows]: each row's share of the mean."""
    row = tl.program_id(0)
    j = tl.arange(0, PROGRAMS)
    plane = rows * programs
    at = partials + row * programs + j
    intersection = tl.sum(tl.load(at, mask=j < programs, other=0.0), 0)
    denominator = tl.sum(tl.load(at + plane, mask=j < programs, other=0.0), 0)
    denominator += tl.sum(tl.load(at + 2 * plane, mask=j < programs, other=0.0), 0) + 1e-7
    tl.store(losses + row, (1 - 2 * intersection / denominator) / rows)
    tl.store(slopes + row, -2 / (denominator * rows))
    tl.store(slopes + rows + row, 4 * intersection / (denominator * denominator * rows))


@triton.jit
def gradient_kernel(logits, labels, slopes, out, N, C, S,
                    SOFTMAX: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, BASE: tl.constexpr):
    n = tl.program_id(1)
    s = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    z, at, valid, t = load_tile(logits, labels, n, s, C, S, ROWS, BASE)
    c = tl.arange(0, ROWS)
    at_target = tl.load(slopes + n * C + c, mask=c < C, other=0.0)
    slope = tl.load(slopes + N * C + n * C + c, mask=c < C, other=0.0)
    p = tl.where(valid, probabilities(z, valid, SOFTMAX), 0.0)
    dp = tl.where(t, at_target[:, None], 0.0) + slope[:, None] * p
    if SOFTMAX:
        dz = p * (dp - tl.sum(p * dp, 0)[None, :])
    else:
        dz = dp * p * (1 - p)
    tl.store(out + at, dz.to(out.dtype.element_ty), mask=valid)


class Fused:
    """Buffers made once. Takes labels of any integer dtype."""

    def __init__(self, z, block=None, warps=None):
        self.N, self.C, self.S = z.shape
        rows = triton.next_power_of_2(self.C)
        # About 4096 elements in a tile: 16 float32 registers for each of 256 threads.
        self.block = block or max(16, min(1024, 4096 // rows))
        self.warps = warps or max(1, min(8, rows * self.block // 512))
        self.tiles = triton.cdiv(self.S, self.block)
        self.programs = max(1, min(self.tiles, 2048 // self.N))
        f32 = dict(device=z.device, dtype=torch.float32)
        self.partials = torch.empty(3, self.N, self.C, self.programs, **f32)
        self.slopes, self.losses = torch.empty(2, self.N * self.C, **f32), torch.empty(self.N * self.C, **f32)
        self.constants = dict(ROWS=rows, BLOCK=self.block, BASE=1 if self.C == 1 else 0, num_warps=self.warps)

    def kept_bytes(self):
        return sum(buffer.numel() * buffer.element_size() for buffer in (self.partials, self.slopes, self.losses))

    def __call__(self, z, y, out, activation):
        constants = dict(self.constants, SOFTMAX=activation == "softmax")
        N, C, S = self.N, self.C, self.S
        statistics_kernel[(self.programs, N)](z, y, self.partials, N, C, S, self.tiles, **constants)
        coefficients_kernel[(N * C,)](
            self.partials, self.slopes, self.losses, N * C, self.programs, PROGRAMS=triton.next_power_of_2(self.programs)
        )
        gradient_kernel[(self.tiles, N)](z, y, self.slopes, out, N, C, S, **constants)
        return self.losses.sum(), out


def fastest(z, y, out, activation, time):
    """The tile width and number of warps that are fastest here; `time` measures a call in ms."""
    rows = triton.next_power_of_2(z.shape[1])
    candidates = []
    for elements in (1024, 2048, 4096, 8192):
        block = max(16, elements // rows)
        for warps in (2, 4, 8):
            fused = Fused(z, block, warps)
            try:
                candidates.append((time(lambda: fused(z, y, out, activation)), block, warps, fused))
            except Exception:  # too many registers or too much shared memory for this width
                continue
    return min(candidates, key=lambda candidate: candidate[0])[3]
