"""Seconds that SciPy, MONAI and surface-distance take for the surface metrics of two masks. surface_speed.py FOLDER: reads
p.bin and t.bin, volumes of 128^3 bytes, and prints JSON."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import surface_distance
import torch
from monai.metrics import compute_hausdorff_distance
from scipy import ndimage

torch.set_num_threads(int(sys.argv[2]))
SHAPE, SPACING = (128, 128, 128), (1.0, 1.0, 1.0)
p, t = (np.fromfile(Path(sys.argv[1]) / f'{name}.bin', np.uint8).reshape(SHAPE) == 1 for name in 'pt')
x, y = (torch.from_numpy(mask)[None, None] for mask in (p, t))


def scipy_alone():
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (p, t)]
    for a, b in (surfaces, surfaces[::-1]):
        np.percentile(ndimage.distance_transform_edt(~b, sampling=SPACING)[a], 95)


def monai():
    compute_hausdorff_distance(x, y, include_background=True, percentile=95, spacing=list(SPACING))


def by_elements():
    found = surface_distance.compute_surface_distances(t, p, SPACING)
    surface_distance.compute_robust_hausdorff(found, 95)
    surface_distance.compute_surface_dice_at_tolerance(found, 1)


def seconds(run):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


print(json.dumps({'SciPy': seconds(scipy_alone), 'MONAI': seconds(monai), 'surface-distance': seconds(by_elements)}))
