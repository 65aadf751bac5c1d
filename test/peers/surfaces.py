"""Metrics of surfaces and components of random masks by SciPy, MONAI and surface-distance themselves.

surfaces.py COUNT SEED OUT: writes cases of random masks, and one of the brain volume of examples/data. The masks are made by
a generator that test/support/surfaces.ts has too, so that a case is a few numbers.
"""

import gzip
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import surface_distance
import torch
from monai.metrics import DiceMetric, compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage


class Numbers:
    """Integers below 2^32: a linear congruential generator."""

    def __init__(self, seed):
        self.state = seed * 2654435761 % 2**32

    def below(self, limit):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state * limit // 2**32


def make_map(shape, kind, seed):
    """A map of the classes 0, 1 and 2: noise, or ellipses that may reach over the border."""
    numbers = Numbers(seed)
    labels = np.zeros(shape, np.uint8)
    if kind == 'noise':
        share = 1 + numbers.below(8)
        flat = [1 + numbers.below(2) if numbers.below(16) < share else 0 for _ in range(labels.size)]
        return np.array(flat, np.uint8).reshape(shape)
    axes = np.indices(shape)
    for label in (1, 2, 1, 2)[: 2 + numbers.below(3)]:
        squares = 0
        for axis, size in enumerate(shape):
            middle, radius = numbers.below(size), 1 + numbers.below(1 + size // 2)
            squares = squares + ((axes[axis] - middle) / radius) ** 2
        labels[squares <= 1] = label
    return labels


def random_case(seed):
    numbers = Numbers(seed)
    limit = 40 if (flat := numbers.below(2) == 1) else 14
    shape = [1 + numbers.below(limit) for _ in range(2 if flat else 3)]
    if not flat:
        shape[0] = max(shape[0], 2)  # label maps of one slice are refused: they read as maps with a class axis
    return {
        'seed': seed,
        'shape': shape,
        'kind': ['noise', 'ellipses'][numbers.below(2)],
        'spacing': [[1.0, 1.0, 1.0], [0.5, 0.75, 2.0], [0.7, 1.3, 2.9]][numbers.below(3)][: len(shape)],
        'percentile': [94.9, 50.3, 89.7, 100][numbers.below(4)],
        'tolerance': [1, 1.1, 2.3][numbers.below(3)],
        'boundaryDistance': [1, 1.6, 3][numbers.below(3)],
    }


VOLUME = Path(__file__).parents[2] / 'examples' / 'data' / 'brain-tissue.nii.gz'

BRAIN = {
    'kind': 'brain',
    'shape': [96, 192, 160],
    'seed': 0,
    'spacing': [0.5, 0.5, 0.5],
    'percentile': 94.9,
    'tolerance': 1.1,
    'boundaryDistance': 2.1,
}


def make_brain():
    """The tissue map, and the same moved by a plane, two rows and three voxels."""
    header = 352
    flat = np.frombuffer(gzip.decompress(VOLUME.read_bytes())[header:], np.uint8)
    _, rows, columns = BRAIN['shape']
    step = (rows + 2) * columns + 3
    return [map.reshape(BRAIN['shape']) for map in (np.concatenate([np.zeros(step, np.uint8), flat[:-step]]), flat)]


def maps_of(case):
    if case['kind'] == 'brain':
        return make_brain()
    return [make_map(case['shape'], case['kind'], case['seed'] * 2 + k) for k in (0, 1)]


def from_scipy(p, t, case):
    """The definitions, in float64."""

    def surface(mask):
        return mask & ~ndimage.binary_erosion(mask, border_value=0)

    def distances(of, to):
        return ndimage.distance_transform_edt(~surface(to), sampling=case['spacing'])[surface(of)]

    def boundary(mask):
        padded = np.pad(mask, 1)
        return padded & (ndimage.distance_transform_edt(padded, sampling=case['spacing']) <= case['boundaryDistance'])

    a, b = distances(p, t), distances(t, p)
    both = np.concatenate([a, b])
    x, y = boundary(p), boundary(t)
    return {
        'hausdorff': both.max(),
        'hausdorffPercentile': max(np.percentile(one, case['percentile']) for one in (a, b)),
        'averageDistance': a.mean(),
        'averageSymmetricDistance': both.mean(),
        'surfaceDice': (both <= case['tolerance']).mean(),
        'boundaryIou': (x & y).sum() / (x | y).sum(),
    }


def from_monai(p, t, case):
    x, y = (torch.from_numpy(mask)[None, None] for mask in (p, t))
    options = {'include_background': True, 'spacing': case['spacing']}
    tolerance = {'class_thresholds': [case['tolerance']], **options}
    return {
        'hausdorff': compute_hausdorff_distance(x, y, **options).item(),
        'hausdorffPercentile': compute_hausdorff_distance(x, y, percentile=case['percentile'], **options).item(),
        'averageDistance': compute_average_surface_distance(x, y, **options).item(),
        'averageSymmetricDistance': compute_average_surface_distance(x, y, symmetric=True, **options).item(),
        'surfaceDice': compute_surface_dice(x, y, **tolerance).item(),
    }


def from_surface_distance(p, t, case):
    found = surface_distance.compute_surface_distances(t, p, case['spacing'])
    to_prediction, to_target = surface_distance.compute_average_surface_distance(found)
    areas = [found[f'surfel_areas_{name}'].sum() for name in ('pred', 'gt')]
    return {
        'hausdorff': surface_distance.compute_robust_hausdorff(found, 100),
        'hausdorffPercentile': surface_distance.compute_robust_hausdorff(found, case['percentile']),
        'averageDistance': to_target,
        'averageSymmetricDistance': (areas[0] * to_target + areas[1] * to_prediction) / sum(areas),
        'surfaceDice': surface_distance.compute_surface_dice_at_tolerance(found, case['tolerance']),
    }


def components_by_scipy(p, t, connectivity):
    """The definitions of docs/api: ComponentScoreName."""
    structure = ndimage.generate_binary_structure(p.ndim, connectivity)
    predicted, n_predicted = ndimage.label(p, structure)
    target, n_target = ndimage.label(t, structure)
    nearest = target[tuple(ndimage.distance_transform_edt(~t, return_distances=False, return_indices=True))]
    region, lesion, found, matched = [], [], 0, set()
    for c in range(1, n_target + 1):
        inside, one = nearest == c, target == c
        region.append(2 * (one & p).sum() / (one.sum() + (p & inside).sum()))
        ids = np.unique(predicted[one & p])
        joined = np.isin(predicted, ids)
        lesion.append(2 * (one & joined).sum() / (one.sum() + joined.sum()))
        found += len(ids) > 0
        matched.update(ids.tolist())
    false_alarms = n_predicted - len(matched)
    return {
        'regionDice': np.mean(region),
        'lesionDice': sum(lesion) / (n_target + false_alarms),
        'lesionRecall': found / n_target,
        'lesionPrecision': len(matched) / n_predicted,
        'lesionF1': 2 * found / (found + n_target + false_alarms),
    }


def components(p, t):
    """Of the prediction and the target of one class: MONAI's per_component connects corners."""
    x, y = (torch.from_numpy(np.stack([~mask, mask]).astype(np.float32))[None] for mask in (p, t))
    monai = DiceMetric(per_component=True, reduction='none')(x, y).item()
    return {
        'monai': monai,
        'corners': components_by_scipy(p, t, p.ndim),
        'faces': components_by_scipy(p, t, 1),
    }


def solve(p, t, case):
    """What each library says of classes 1 and 2; None where one of the masks is empty."""
    return [
        {
            'scipy': from_scipy(p == label, t == label, case),
            'monai': from_monai(p == label, t == label, case),
            'surface-distance': from_surface_distance(p == label, t == label, case),
            # The loops over components take too long on the volume.
            'components': components(p == label, t == label) if case['kind'] != 'brain' else None,
        }
        if (p == label).any() and (t == label).any()
        else None
        for label in (1, 2)
    ]


def main(count, seed, out):
    cases = [BRAIN, *(random_case(int(seed) + i) for i in range(int(count)))]
    names = ('scipy', 'monai', 'surface-distance-based-measures')
    versions = {name: version(name) for name in names}
    with open(out, 'w', encoding='utf-8') as file:
        solved = ({**case, 'classes': solve(*maps_of(case), case)} for case in cases)
        lines = ',\n'.join(json.dumps(case) for case in solved)
        file.write(f'{{"versions": {json.dumps(versions)}, "cases": [\n{lines}\n]}}\n')


main(*sys.argv[1:])
