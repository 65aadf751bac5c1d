"""The Dice loss with squared denominators and its gradient, written by hand in PyTorch, without autograd: what we found fastest.

Both go over a few samples or one at a time. The labels become floats: their comparison with the classes is vectorised, where scatter and
gather by int64, and comparisons of bytes, are not.
"""

import torch

SMOOTH = 1e-7


def slopes_of(I, P, T, share):
    """The sum of the losses, and what dL/dp has where the target is and times p, [B,C,1]."""
    D = P + T + SMOOTH
    return (1 - 2 * I / D).sum(), (share * -2 / D).unsqueeze(2), (share * 4 * I / (D * D)).unsqueeze(2)


class ByHand:
    def __init__(self, elements):
        self.shape, self.elements = None, elements

    def __call__(self, z, y, activation):
        with torch.no_grad():
            z = z.detach()
            if self.shape != z.shape:
                self.allocate(z.shape)
            N, C, _ = z.shape
            total = 0
            for n in range(0, N, self.samples):
                at = slice(n, min(n + self.samples, N))
                labels = self.y[: at.stop - n].copy_(y[at].unsqueeze(1))  # int64 to float
                total += self.step(z[at], labels, self.grad[at], 1 / (N * C), activation)
            return total / (N * C), self.grad

    def allocate(self, shape):
        N, C, S = self.shape = shape
        self.samples = max(1, min(N, self.elements // (C * S)))
        self.classes = torch.ones(1, 1) if C == 1 else torch.arange(C, dtype=torch.float32).view(C, 1)
        self.grad, self.y = torch.empty(shape), torch.empty(self.samples, 1, S)


class Eager(ByHand):
    """In pieces of the voxels that the caches hold, every operation into memory that was allocated once."""

    PIECE = 2**18  # elements

    def __init__(self):
        super().__init__(self.PIECE)

    def allocate(self, shape):
        super().allocate(shape)
        _, C, S = shape
        B, K = self.samples, max(1, min(S, self.PIECE // C))
        self.voxels = [slice(a, min(a + K, S)) for a in range(0, S, K)]
        self.p = torch.empty(B, C, S)
        self.t, self.work, self.row = torch.empty(B, C, K), torch.empty(B, C, K), torch.empty(B, 1, K)

    def pieces(self, y):
        """Of the samples: voxels, and p, t, work and row there."""
        B = len(y)
        for voxels in self.voxels:
            K = voxels.stop - voxels.start
            t = torch.eq(y[:, :, voxels], self.classes, out=self.t[:B, :, :K])
            yield voxels, self.p[:B, :, voxels], t, self.work[:B, :, :K], self.row[:B, :, :K]

    def step(self, z, y, grad, share, activation):
        loss, at_target, slope = slopes_of(*self.sums(z, y, activation), share)
        for voxels, p, t, work, row in self.pieces(y):
            # dL/dp = at_target*t + slope*p, through the activation
            dp = t.mul_(at_target).addcmul_(p, slope)
            if activation == "softmax":
                torch.sum(torch.mul(dp, p, out=work), 1, keepdim=True, out=row)
                torch.mul(dp.sub_(row), p, out=grad[:, :, voxels])
            else:
                torch.ops.aten.sigmoid_backward(dp, p, grad_input=grad[:, :, voxels])
        return loss

    def sums(self, z, y, activation):
        """[3,B,C]; keeps p."""
        sums = torch.zeros(3, *z.shape[:2])
        for voxels, p, t, work, row in self.pieces(y):
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


def softmax_by_class(z):
    """A list: torch.compile makes one loop over the voxels of what is written class by class."""
    classes = z.unbind(1)
    largest = classes[0]
    for here in classes[1:]:
        largest = torch.maximum(largest, here)
    e = [torch.exp(here - largest) for here in classes]
    total = e[0]
    for here in e[1:]:
        total = total + here
    return [here * (1 / total) for here in e]


def sums_by_class(z, y):
    """[3,B,C]"""
    p = softmax_by_class(z)
    t = [y[:, 0] == c for c in range(len(p))]
    I = [torch.where(one, own, 0.0).sum(1) for one, own in zip(t, p)]
    P = [(own * own).sum(1) for own in p]
    T = [one.sum(1, dtype=torch.float32) for one in t]
    return torch.stack([torch.stack(sums, 1) for sums in (I, P, T)])


def gradient_by_class(z, y, at_target, slope, grad):
    p = softmax_by_class(z)
    dp = [slope[:, c] * own + torch.where(y[:, 0] == c, at_target[:, c], 0.0) for c, own in enumerate(p)]
    dot = dp[0] * p[0]
    for slopes, own in zip(dp[1:], p[1:]):
        dot = dot + slopes * own
    for c, (slopes, own) in enumerate(zip(dp, p)):
        grad[:, c].copy_(own * (slopes - dot))


def whole_step(z, y, classes, share, grad):
    """Both passes as one graph: the sum of the losses, and the gradient times `share` into grad."""
    p = torch.softmax(z, 1) if z.shape[1] > 1 else torch.sigmoid(z)
    t = y == classes
    I, P, T = (p * t).sum(2), (p * p).sum(2), t.sum(2, dtype=torch.float32)
    D = P + T + SMOOTH
    at_target, slope = (share * -2 / D).unsqueeze(2), (share * 4 * I / (D * D)).unsqueeze(2)
    dp = torch.where(t, at_target + slope * p, slope * p)
    grad.copy_(p * (dp - (dp * p).sum(1, keepdim=True)) if z.shape[1] > 1 else dp * p * (1 - p))
    return (1 - 2 * I / D).sum()


class Compiled(ByHand):
    """torch.compile of whole_step, or for a few classes of the two passes class by class, of a million logits or one sample at a time."""

    def __init__(self):
        super().__init__(2**20)
        self.whole_step, self.sums, self.gradient = (
            torch.compile(function, dynamic=False) for function in (whole_step, sums_by_class, gradient_by_class)
        )

    def step(self, z, y, grad, share, activation):
        if not 2 <= z.shape[1] <= 8:
            return self.whole_step(z, y, self.classes, share, grad)
        I, P, T = self.sums(z, y)
        loss, at_target, slope = slopes_of(I, P, T, share)
        self.gradient(z, y, at_target, slope, grad)
        return loss
