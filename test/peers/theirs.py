"""What the other libraries compute: theirs.py <docs/coming-from.md> <out.json>

Evaluates the first column of every row of the page with the library itself, in float64, on one small problem, and writes the
versions, the problem, and each row's value and gradient. Then checks the page's sentences (facts.py).
"""

import json
import os
import re
import sys
import warnings

os.environ['KERAS_BACKEND'] = 'torch'
os.environ['JAX_ENABLE_X64'] = '1'
warnings.filterwarnings('ignore')

import facts  # noqa: E402
import jax  # noqa: E402
import keras  # noqa: E402
import kornia.losses  # noqa: E402
import monai.losses  # noqa: E402
import monai.metrics  # noqa: E402
import nnunetv2.training.loss.compound_losses as nnunet_compound  # noqa: E402
import nnunetv2.training.loss.dice as nnunet_dice  # noqa: E402
import numpy as np  # noqa: E402
import optax.losses  # noqa: E402
import segmentation_models_pytorch.losses as smp  # noqa: E402
import segmentation_models_pytorch.metrics as smp_metrics  # noqa: E402
import torch  # noqa: E402
import torchmetrics  # noqa: E402
import torchmetrics.segmentation  # noqa: E402
from importlib.metadata import version  # noqa: E402
from nnunetv2.utilities.helpers import softmax_helper_dim1  # noqa: E402

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
keras.config.set_floatx('float64')

N, C, H, W = 2, 3, 3, 5


def make_problem():
    """Every class is in every sample, unless the name says otherwise."""
    random = np.random.RandomState(7)
    labels = random.randint(0, C, (N, H, W))
    return {
        'shape': [N, C, H, W],
        'logits': 2 * random.randn(N, C, H, W),
        'probabilities': 0.02 + 0.96 * random.rand(N, C, H, W),
        'soft': random.rand(N, C, H, W),
        'labels': labels,
        'ignoring': np.where(random.rand(N, H, W) < 0.2, 255, labels),
        'without2': labels % 2,
        'mask': (random.rand(N, H, W) < 0.75).astype(int),
        'logits1': 2 * random.randn(N, 1, H, W),
        'labels1': random.randint(0, 2, (N, H, W)),
    }


def make_maps():
    """Label maps of four classes: class 2 is predicted once and in no target, class 3 is nowhere."""
    random = np.random.RandomState(3)
    truth = random.randint(0, 2, (N, H, W))
    found = np.where(random.rand(N, H, W) < 0.3, random.randint(0, 2, (N, H, W)), truth)
    found[0, 0, 0] = 2
    return {'truth': truth, 'found': found}


problem = make_problem() | make_maps()
onehot = {name: np.moveaxis(np.eye(C)[problem[name]], -1, 1) for name in ('labels', 'without2')}


def tensor(array):
    return torch.tensor(np.asarray(array), dtype=None if np.asarray(array).dtype == int else torch.float64)


# What the words behind a row's call mean: the problem that it solves.
def variant(call):
    words = call.partition(', on ')[2]
    return {
        '': {'x': 'logits', 'labels': 'labels'},
        'one class': {'x': 'logits1', 'labels': 'labels1'},
        'probabilities': {'x': 'probabilities', 'labels': 'labels'},
        'a soft target': {'x': 'logits', 'labels': 'labels', 'target': 'soft'},
        'ignored voxels': {'x': 'logits', 'labels': 'ignoring'},
        'an absent class': {'x': 'logits', 'labels': 'without2'},
        'masked voxels': {'x': 'logits', 'labels': 'labels', 'weight': 'mask'},
    }[words]


def monai_loss(call, used):
    loss = eval(call, {**vars(monai.losses), 'torch': torch, 'np': np})
    labels = tensor(problem[used['labels']])[:, None]
    if 'target' in used:
        target = tensor(problem[used['target']])
    elif 'to_onehot_y=True' in call or 'Wasserstein' in call:
        target = labels
    elif used['x'] == 'logits1':
        target = labels.double()
    else:
        target = tensor(onehot[used['labels']])
    extra = [tensor(problem['mask'])[:, None].double()] if 'weight' in used else []
    return lambda x: loss(x, target, *extra)


def nnunet_loss(call, used):
    names = {**vars(nnunet_dice), **vars(nnunet_compound), 'softmax': softmax_helper_dim1, 'torch': torch}
    loss = eval(call, names)
    target = tensor(problem[used['labels']])[:, None]
    if 'BCE' in call:
        target = tensor(onehot[used['labels']])
        if 'use_ignore_label' in call:
            ignored = 1 - tensor(problem['mask'])[:, None].double()
            target = torch.cat([target, ignored], 1)
        return lambda x: loss(x, target)
    extra = {'loss_mask': tensor(problem['mask'])[:, None]} if 'weight' in used else {}
    return lambda x: loss(x, target, **extra)


def smp_loss(call, used):
    loss = eval(call, {**vars(smp), 'torch': torch})
    labels = tensor(problem[used['labels']])
    if 'MCC' in call:  # one table of all that it gets
        return lambda x: loss(x, tensor(onehot[used['labels']]))
    return lambda x: loss(x, labels[:, None] if 'binary' in call else labels)


def keras_loss(call, used):
    loss = eval(call, {**vars(keras.losses)})
    target = tensor(onehot[used['labels']]).movedim(1, -1)
    return lambda x: loss(target, x.movedim(1, -1))


def kornia_loss(call, used):
    loss = eval(call, {**vars(kornia.losses), 'torch': torch})
    labels = tensor(problem[used['labels']])
    return lambda x: loss(x, labels[:, None].double() if 'Binary' in call else labels)


def torch_loss(call, used):
    loss = eval(call, {**vars(torch.nn), 'torch': torch})
    labels = tensor(problem[used['labels']])
    if 'BCE' not in call:
        return lambda x: loss(x, labels)
    target = labels[:, None].double() if used['x'] == 'logits1' else tensor(onehot[used['labels']])
    return lambda x: loss(x, target)


def by_torch(make):
    def run(call, used):
        loss = make(call.partition(', on ')[0], used)
        x = tensor(problem[used['x']]).requires_grad_()
        value = loss(x)
        value.backward()
        return value.item(), x.grad.numpy(), str(value.dtype).removeprefix('torch.')

    return run


def optax_loss(call, used):
    expression = call.partition(', on ')[0]
    labels = problem[used['labels']]
    target = np.moveaxis(onehot[used['labels']], 1, -1) if used['x'] != 'logits1' else labels[..., None].astype(float)

    def loss(x):
        logits = jax.numpy.moveaxis(x, 1, -1)
        return eval(expression, {**vars(optax.losses), 'jnp': jax.numpy, 'logits': logits, 'targets': target})

    value, gradient = jax.value_and_grad(loss)(jax.numpy.asarray(problem[used['x']]))
    return float(value), np.asarray(gradient), str(value.dtype)


def score(call):
    """A metric of the label maps, as a list of numbers."""
    truth, found = (tensor(problem[name]) for name in ('truth', 'found'))
    library, _, expression = call.partition('.')
    if library == 'monai':
        metric = eval(expression, vars(monai.metrics))
        metric(*(torch.nn.functional.one_hot(a, 4).movedim(-1, 1) for a in (found, truth)))
        result = metric.aggregate()
        result = result[0] if isinstance(result, list) else result
    elif library == 'smp':
        tp, fp, fn, tn = smp_metrics.get_stats(found, truth, mode='multiclass', num_classes=4)
        result = eval(expression, {**vars(smp_metrics), 'tp': tp, 'fp': fp, 'fn': fn, 'tn': tn})
    elif library == 'torchmetrics':
        result = eval(expression, {**vars(torchmetrics), **vars(torchmetrics.segmentation)})(found, truth)
    else:
        metric = eval(expression, vars(keras.metrics))
        metric.update_state(truth, found)
        result = metric.result()
    return [None if np.isnan(x) else short(x) for x in np.asarray(result.detach()).astype(float).ravel()]


# The sections of the page.
libraries = {
    'MONAI': ('monai', by_torch(monai_loss)),
    'nnU-Net': ('nnunetv2', by_torch(nnunet_loss)),
    'segmentation_models.pytorch': ('segmentation-models-pytorch', by_torch(smp_loss)),
    'Keras': ('keras', by_torch(keras_loss)),
    'optax': ('optax', optax_loss),
    'kornia': ('kornia', by_torch(kornia_loss)),
    'PyTorch': ('torch', by_torch(torch_loss)),
}


def rows(page):
    """The section and the first column of each row."""
    for section in re.split(r'^## ', page.partition('## Metrics')[0], flags=re.M)[1:]:
        for call in re.findall(r'^\| `(.+?)` \| `new ', section, flags=re.M):
            yield next(name for name in libraries if section.startswith(name)), call


def short(number):
    return float(f'{number:.14g}')


def main(page, out):
    found, scores, wrong = {}, {}, 0
    text = open(page).read()
    for call in re.findall(r'^\| `(.+?)` \| `new ', text.partition('## Metrics')[2], flags=re.M):
        scores[call] = score(call)
    for library, call in rows(text):
        try:
            value, gradient, dtype = libraries[library][1](call, variant(call))
            gradient = [short(g) for g in gradient.ravel()]
            if 'Focal' in call or 'Hausdorff' in call or library == 'nnU-Net':  # these convert to float32 inside
                dtype = 'float32'
            found[f'{library}: {call}'] = {'dtype': dtype, 'value': short(value), 'gradient': gradient}
        except Exception as error:  # the row is wrong as written
            wrong += 1
            print(f'{library}: {call}: {type(error).__name__}: {error}')
    result = {
        'versions': {name: version(name) for name, _ in libraries.values()} | {name: version(name) for name in ('torch', 'torchmetrics')},
        'problem': {name: np.asarray(array).ravel().tolist() for name, array in problem.items()},
        'rows': found,
        'scores': scores,
    }
    with open(out, 'w') as file:  # a line for each row, so that a change shows what it changes
        sections = (
            f'"{name}": {{\n' + ',\n'.join(f'{json.dumps(key)}: {json.dumps(value)}' for key, value in section.items()) + '\n}'
            for name, section in result.items()
        )
        file.write('{\n' + ',\n'.join(sections) + '\n}\n')
    for name, number in result['versions'].items():
        print(f'{name} {number}')
    print(f'{len(found)} losses, {len(scores)} metrics, {wrong} rows wrong')
    return wrong + facts.check(problem)


if __name__ == '__main__':
    sys.exit(1 if main(sys.argv[1], sys.argv[2]) else 0)
