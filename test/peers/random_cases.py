"""Random problems with random options, solved by the other libraries: random_cases.py <count> <seed> <out.json>

A case is what warpdice needs to solve it too: the class and its options, the arrays, and how the other library's value follows
from ours, value * scale + shift.
"""

import json
import sys

import numpy as np
import theirs  # sets the libraries to float64
import torch

monai, smp, nnunet_dice, kornia = theirs.monai.losses, theirs.smp, theirs.nnunet_dice, theirs.kornia.losses


class Case:
    """A problem, and the options that the libraries share."""

    def __init__(self, seed):
        self.random = random = np.random.RandomState(seed)
        self.classes = int(random.choice([1, 2, 3, 5]))
        self.shape = [int(random.choice([1, 2, 3])), self.classes, int(random.randint(1, 7)), int(random.randint(2, 8))]
        self.float32 = bool(random.rand() < 0.3)
        self.x = 2 * random.randn(*self.shape)
        self.labels = random.randint(0, max(2, self.classes), [self.shape[0], *self.shape[2:]])
        self.mask = None
        self.scale, self.shift = 1.0, 0.0
        self.options = {}

    def flag(self, chance=0.5):
        return bool(self.random.rand() < chance)

    def number(self, low, high):
        return round(float(self.random.uniform(low, high)), 3)

    def activation(self, *allowed):
        """One of the activations; probabilities when there is none."""
        allowed = [a for a in allowed if a != 'softmax' or self.classes > 1]
        chosen = allowed[self.random.randint(len(allowed))]
        if chosen == 'none':
            self.x = 0.02 + 0.96 * self.random.rand(*self.shape)
        self.options['activation'] = chosen
        return chosen

    def smoothing(self, factor=1.0):
        s_n, s_d = self.number(0, 2), self.number(0.001, 2)
        self.options |= {'smoothNumerator': factor * s_n, 'smoothDenominator': factor * s_d}
        return {'smooth_nr': s_n, 'smooth_dr': s_d}

    def background(self):
        if self.classes == 1 or self.flag():
            return True
        self.options['background'] = False
        return False

    def keep_one_sample(self):
        self.shape[0], self.x, self.labels = 1, self.x[:1], self.labels[:1]

    def resize(self, shape):
        self.shape, self.x = shape, 2 * self.random.randn(*shape)
        self.labels = self.random.randint(0, max(2, self.classes), [shape[0], *shape[2:]])

    def tensor(self, array):
        return torch.tensor(array, dtype=torch.float32 if self.float32 else torch.float64)

    def onehot(self):
        if self.classes == 1:
            return self.tensor(self.labels[:, None])
        return self.tensor(np.moveaxis(np.eye(self.classes)[self.labels], -1, 1))

    def class_indices(self):
        return torch.tensor(self.labels)[:, None]


def monai_common(case, *activations):
    activation = case.activation(*activations)
    kwargs = {activation: True} if activation != 'none' else {}
    kwargs['include_background'] = case.background()
    if case.flag():
        kwargs['batch'] = case.options['batch'] = True
    return kwargs


def monai_dice(case):
    kwargs = monai_common(case, 'none', 'sigmoid', 'softmax')
    kwargs['jaccard'] = case.flag(0.3)
    kwargs['squared_pred'] = case.flag(0.3)
    case.options['denominator'] = 'squared' if kwargs['squared_pred'] else 'linear'
    kwargs |= case.smoothing(0.5 if kwargs['jaccard'] else 1.0)
    if case.flag(0.3):
        kwargs['reduction'] = case.options['reduction'] = 'sum'
    counted = case.classes if kwargs['include_background'] else case.classes - 1
    if case.flag(0.3) and counted > 1:  # of one counted class it ignores the weight
        weights = [case.number(0, 3) for _ in range(case.classes)]
        case.options['classWeights'] = weights
        kwargs['weight'] = weights if kwargs['include_background'] else weights[1:]
    loss = monai.DiceLoss(**kwargs)
    return 'JaccardLoss' if kwargs['jaccard'] else 'DiceLoss', lambda x: loss(x, case.onehot())


def monai_masked(case):
    kwargs = monai_common(case, 'none', 'sigmoid', 'softmax') | case.smoothing()
    case.options['denominator'] = 'linear'
    case.mask = case.random.randint(0, 2, case.labels.shape)
    loss = monai.MaskedDiceLoss(**kwargs)
    return 'DiceLoss', lambda x: loss(x, case.onehot(), case.tensor(case.mask)[:, None])


def monai_tversky(case):
    kwargs = monai_common(case, 'sigmoid', 'softmax') | case.smoothing()
    weights = {'alpha': case.number(0, 2), 'beta': case.number(0, 2)}
    case.options |= weights
    loss = monai.TverskyLoss(**kwargs, **weights)
    return 'TverskyLoss', lambda x: loss(x, case.onehot())


def monai_generalized(case):
    kwargs = monai_common(case, 'sigmoid', 'softmax') | case.smoothing()
    case.float32 = True  # as its volumes are
    case.labels[:, 0, :2] = [0, 1]  # a sample without counted target is 0 there
    kwargs['w_type'] = case.options['weighting'] = str(case.random.choice(['square', 'simple', 'uniform']))
    loss = monai.GeneralizedDiceLoss(**kwargs)
    return 'GeneralizedDiceLoss', lambda x: loss(x, case.onehot())


def monai_dice_ce(case):
    case.activation('softmax' if case.classes > 1 else 'sigmoid')
    case.options['denominator'] = 'linear'
    kwargs = {case.options['activation']: True, 'include_background': case.background()} | case.smoothing()
    dice, ce = case.number(0.1, 2), case.number(0.1, 2)
    case.options |= {'overlapWeight': dice, 'crossEntropy': {'weight': ce}}
    if case.classes > 1 and case.flag():
        kwargs['label_smoothing'] = case.options['crossEntropy']['labelSmoothing'] = case.number(0, 1)
    loss = monai.DiceCELoss(to_onehot_y=case.classes > 1, lambda_dice=dice, lambda_ce=ce, **kwargs)
    return 'DiceCELoss', lambda x: loss(x, case.class_indices() if case.classes > 1 else case.onehot())


def monai_dice_focal(case):
    case.float32 = True  # as it computes
    kwargs = {'sigmoid': case.activation('sigmoid') == 'sigmoid'} | case.smoothing()
    case.options['denominator'] = 'linear'
    dice, focal, gamma = case.number(0.1, 2), case.number(0.1, 2), case.number(0.5, 3)
    case.options |= {'overlapWeight': dice, 'focal': {'weight': focal, 'gamma': gamma}}
    loss = monai.DiceFocalLoss(lambda_dice=dice, lambda_focal=focal, gamma=gamma, **kwargs)
    return 'DiceFocalLoss', lambda x: loss(x, case.onehot())


def nnunet(case):
    case.float32 = True
    case.activation('softmax' if case.classes > 1 else 'sigmoid')
    apply = torch.sigmoid if case.classes == 1 else theirs.softmax_helper_dim1
    smooth = case.number(0.001, 2)
    case.options |= {'denominator': 'linear', 'smoothNumerator': smooth, 'smoothDenominator': smooth}
    kwargs = {'batch_dice': case.flag(), 'do_bg': case.background(), 'smooth': smooth, 'ddp': False}
    case.options['batch'] = kwargs['batch_dice']
    case.shift = -1.0
    loss = nnunet_dice.MemoryEfficientSoftDiceLoss(apply, **kwargs)
    if case.flag():
        case.mask = case.random.randint(0, 2, case.labels.shape)
    mask = None if case.mask is None else torch.tensor(case.mask)[:, None]
    target = case.onehot() if case.classes == 1 else case.class_indices()
    return 'DiceLoss', lambda x: loss(x, target, loss_mask=mask)


def smp_pooled(case):
    mode = 'multiclass' if case.classes > 1 else 'binary'
    case.activation('softmax' if case.classes > 1 else 'sigmoid')
    case.options |= {'batch': True, 'absent': 'perfect'}
    kwargs = {'smooth': case.number(0.001, 2)}
    if case.flag(0.3):
        ignored = case.random.rand(*case.labels.shape) < 0.2
        case.labels = np.where(ignored, 255, case.labels)
        kwargs['ignore_index'] = case.options['ignoreIndex'] = 255
    name = str(case.random.choice(['DiceLoss', 'JaccardLoss', 'TverskyLoss']))
    smooth = kwargs['smooth'] * (2 if name == 'DiceLoss' else 1)
    case.options |= {'smoothNumerator': smooth, 'smoothDenominator': smooth}
    if name == 'TverskyLoss':
        weights = {'alpha': case.number(0.1, 2), 'beta': case.number(0.1, 2)}
        kwargs |= weights
        case.options |= weights
    else:
        case.options['denominator'] = 'linear'
    loss = getattr(smp, name)(mode, **kwargs)
    target = torch.tensor(case.labels)
    return name, lambda x: loss(x, target[:, None] if mode == 'binary' else target)


def smp_matthews(case):
    case.activation('none')
    eps = case.options['smooth'] = case.number(0, 2)
    case.options |= {'average': 'micro', 'batch': True}
    return 'MatthewsLoss', lambda x: smp.MCCLoss(eps)(x, case.onehot())


def monai_unified(case):
    if case.classes != 2:
        return None
    case.activation('softmax')
    w, delta, gamma = case.number(0, 1), case.number(0.1, 0.9), case.number(0.05, 0.95)
    case.scale = 1 - w / 2  # its focal part is a mean over the classes too
    case.options |= {'lambda': w / (2 - w), 'delta': delta, 'gamma': gamma}
    case.options |= {'smoothNumerator': 1e-7, 'smoothDenominator': 1e-7}
    loss = monai.AsymmetricUnifiedFocalLoss(weight=w, delta=delta, gamma=gamma)
    return 'UnifiedFocalLoss', lambda x: loss(torch.softmax(x, 1), case.onehot())


def authors_unified(case):
    """The authors' TensorFlow program (mlyg/unified-focal-loss, 2D), written for PyTorch."""
    if case.classes != 2:
        return None
    case.activation('softmax')
    w, delta, gamma = case.number(0, 1), case.number(0.1, 0.9), case.number(0.05, 0.95)
    asymmetric = case.options['asymmetric'] = case.flag()
    case.options |= {'lambda': w, 'delta': delta, 'gamma': gamma}
    case.options |= {'smoothNumerator': 1e-7, 'smoothDenominator': 1e-7}

    def loss(x):
        p, t = torch.softmax(x, 1).clamp(1e-7, 1 - 1e-7), case.onehot()
        tp, fn, fp = ((a * b).sum((2, 3)) for a, b in ((t, p), (t, 1 - p), (1 - t, p)))
        rest = 1 - (tp + 1e-7) / (tp + delta * fn + (1 - delta) * fp + 1e-7)
        back = rest[:, 0] if asymmetric else rest[:, 0] ** (1 - gamma)
        tversky = torch.stack([back, rest[:, 1] ** (1 - gamma)], -1).mean()
        entropy = -t * torch.log(p)
        back = (1 - delta) * (1 - p[:, 0]) ** gamma * entropy[:, 0]
        fore = delta * entropy[:, 1] * (1 if asymmetric else (1 - p[:, 1]) ** gamma)
        return w * torch.stack([back, fore], -1).sum(-1).mean() + (1 - w) * tversky

    return 'UnifiedFocalLoss', loss


def keras_losses(case):
    case.activation('none')
    case.float32 = True  # as its mean is
    axis = (1, 2)
    if case.flag():
        axis, case.options['batch'] = (0, 1, 2), True
    losses, target = theirs.keras.losses, case.onehot().movedim(1, -1)
    if case.flag():
        case.options['denominator'] = 'linear'
        name, loss = 'DiceLoss', losses.Dice(axis=axis)
    else:  # its alpha is the weight of false negatives
        alpha, beta = case.number(0.1, 2), case.number(0.1, 2)
        case.options |= {'alpha': beta, 'beta': alpha}
        name, loss = 'TverskyLoss', losses.Tversky(alpha=alpha, beta=beta, axis=axis)
    return name, lambda x: loss(target, x.movedim(1, -1))


class ByJax(torch.autograd.Function):
    """A loss of jax as one of torch."""

    @staticmethod
    def forward(ctx, x, loss):
        value, ctx.gradient = theirs.jax.value_and_grad(loss)(theirs.jax.numpy.asarray(x.detach().numpy()))
        return torch.tensor(np.asarray(value))

    @staticmethod
    def backward(ctx, upstream):
        return upstream * torch.tensor(np.asarray(ctx.gradient)), None


def optax_losses(case):
    jnp, dice = theirs.jax.numpy, theirs.optax.losses.dice_loss
    case.resize([2, case.classes, 3, 5])  # jax compiles for each shape
    case.activation('softmax' if case.classes > 1 else 'sigmoid')
    smooth, alpha, beta = case.number(0.001, 2), case.number(0.1, 2), case.number(0.1, 2)
    case.options |= {'smoothNumerator': smooth, 'smoothDenominator': smooth, 'alpha': alpha, 'beta': beta}
    target = jnp.moveaxis(jnp.asarray(case.onehot().numpy()), 1, -1)
    kwargs = {'smooth': smooth, 'alpha': alpha, 'beta': beta}
    if case.classes > 1:
        kwargs['ignore_background'] = not case.background()
        case.options['classWeights'] = [case.number(0.1, 3) for _ in range(case.classes)]
        kwargs['class_weights'] = jnp.asarray(case.options['classWeights'])

    def loss(x):
        return dice(jnp.moveaxis(x, 1, -1), target, **kwargs).mean()

    return 'TverskyLoss', lambda x: ByJax.apply(x, loss)


def kornia_losses(case):
    if case.classes == 1:
        return None
    case.activation('softmax')
    case.keep_one_sample()  # its mean is over the classes of a sample first
    case.labels[:, 0, :2] = [0, 1]
    case.options['smoothDenominator'] = 1e-8
    target = torch.tensor(case.labels)
    if case.flag():
        weights = {'alpha': case.number(0.1, 2), 'beta': case.number(0.1, 2)}
        case.options |= weights | {'absent': 'skip'}
        return 'TverskyLoss', lambda x: kornia.TverskyLoss(**weights)(x, target)
    case.options['weighting'] = 'uniform'
    return 'GeneralizedDiceLoss', lambda x: kornia.DiceLoss('micro')(x, target)


def torch_cross_entropy(case):
    if case.classes == 1:
        return None
    case.activation('softmax')
    kwargs = {'label_smoothing': case.number(0, 1)}
    case.options['labelSmoothing'] = kwargs['label_smoothing']
    weights = case.options['classWeights'] = [case.number(0.1, 3) for _ in range(case.classes)]
    if case.flag():
        kwargs['reduction'] = case.options['reduction'] = 'sum'
    if case.flag():
        case.labels = np.where(case.random.rand(*case.labels.shape) < 0.2, 255, case.labels)
        case.labels[:, 0, 0] = 0
        kwargs['ignore_index'] = case.options['ignoreIndex'] = 255
    loss = torch.nn.CrossEntropyLoss(weight=case.tensor(weights), **kwargs)
    return 'CrossEntropyLoss', lambda x: loss(x, torch.tensor(case.labels))


def torch_binary_cross_entropy(case):
    case.activation('sigmoid')
    positive = [case.number(0.1, 3) for _ in range(case.classes)]
    case.options['positiveWeight'] = positive if case.flag() else positive[0]
    kwargs = {'pos_weight': case.tensor(case.options['positiveWeight']).reshape(-1, 1, 1)}
    if case.flag():  # a mean divides by the weights only here
        case.mask = case.random.randint(0, 4, case.shape)
        kwargs |= {'weight': case.tensor(case.mask), 'reduction': 'sum'}
        case.options['reduction'] = 'sum'
    loss = torch.nn.BCEWithLogitsLoss(**kwargs)
    return 'CrossEntropyLoss', lambda x: loss(x, case.onehot())


def torchvision_focal(case):
    case.activation('sigmoid')
    case.options |= {'gamma': case.number(0.5, 4), 'alpha': case.number(0, 1)}
    given = dict(case.options)
    given.pop('activation')
    return 'FocalLoss', lambda x: theirs.facts.sigmoid_focal_loss(x, case.onehot(), reduction='mean', **given)


def softmax_focal(case):
    if case.classes == 1:
        return None
    case.activation('softmax')
    case.float32 = True  # as MONAI computes
    gamma, alpha = case.number(1, 4), case.number(0, 1)
    case.options |= {'gamma': gamma, 'alpha': [1 - alpha] + [alpha] * (case.classes - 1)}
    if case.flag():
        loss = kornia.FocalLoss(alpha, gamma, 'mean')
        return 'FocalLoss', lambda x: loss(x, torch.tensor(case.labels))
    loss = monai.FocalLoss(gamma=gamma, alpha=alpha, use_softmax=True)
    return 'FocalLoss', lambda x: loss(x, case.onehot())


def monai_wasserstein(case):
    if case.classes == 1:
        return None
    case.activation('softmax')
    matrix = np.round(case.random.rand(case.classes, case.classes) + 0.1, 3)
    np.fill_diagonal(matrix, 0)
    case.float32 = True  # as its matrix is
    matrix /= matrix.max()
    kwargs = case.smoothing()
    if case.flag():
        kwargs['weighting_mode'] = case.options['weighting'] = 'GDL'
    else:
        case.options['measuredFrom'] = 'largest'
    case.options['distances'] = matrix.tolist()
    loss = monai.GeneralizedWassersteinDiceLoss(matrix, **kwargs)
    return 'GeneralizedWassersteinDiceLoss', lambda x: loss(x, case.class_indices())


makers = [
    monai_dice,
    monai_masked,
    monai_tversky,
    monai_generalized,
    monai_dice_ce,
    monai_dice_focal,
    nnunet,
    smp_pooled,
    smp_matthews,
    monai_unified,
    authors_unified,
    keras_losses,
    optax_losses,
    kornia_losses,
    torch_cross_entropy,
    torch_binary_cross_entropy,
    torchvision_focal,
    softmax_focal,
    monai_wasserstein,
]


def solve(seed):
    case = Case(seed)
    maker = makers[seed % len(makers)]
    made = maker(case)
    if made is None:
        return None
    name, loss = made
    x = case.tensor(case.x).requires_grad_()
    value = loss(x)
    value.backward()
    return {
        'seed': seed,
        'library': maker.__name__,
        'loss': name,
        'options': case.options,
        'float32': case.float32,
        'shape': case.shape,
        'x': x.detach().double().ravel().tolist(),
        'labels': case.labels.ravel().tolist(),
        'mask': None if case.mask is None else case.mask.ravel().tolist(),
        'scale': case.scale,
        'shift': case.shift,
        'value': value.item(),
        'gradient': x.grad.double().ravel().tolist(),
    }


def main(count, seed, out):
    cases = [case for case in map(solve, range(seed, seed + count)) if case is not None]
    with open(out, 'w') as file:
        json.dump(cases, file)
    print(f'{len(cases)} random cases from seed {seed}')


if __name__ == '__main__':
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
