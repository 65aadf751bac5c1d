"""The libraries' own Dice losses, with options that give what one of our losses computes: MONAI, nnU-Net, segmentation_models.pytorch.

Each is (name, the loss of ours as bench/cases/losses.ts names it, tensors like the logits that it holds, function of logits [N,C,S] and
int64 labels [N,S] that returns the value). Autograd gives the gradient, torch.compile makes the other version.
"""

import monai.losses
import segmentation_models_pytorch.losses
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.helpers import softmax_helper_dim1

SMOOTH = 1e-7  # our default


def library_losses(classes, activation):
    softmax = activation == "softmax"
    squared = {
        "softmax": softmax,
        "sigmoid": not softmax,
        "to_onehot_y": softmax,
        "squared_pred": True,
        "smooth_nr": 0,
        "smooth_dr": SMOOTH,
    }
    with_channel = lambda y: y.unsqueeze(1) if softmax else y.unsqueeze(1).float()
    monai_dice, monai_dice_ce = monai.losses.DiceLoss(**squared), monai.losses.DiceCELoss(**squared)
    nonlinear = softmax_helper_dim1 if softmax else torch.sigmoid
    linear = {"batch_dice": False, "do_bg": True, "smooth": 0, "ddp": False}
    nnunet_dice = MemoryEfficientSoftDiceLoss(apply_nonlin=nonlinear, **linear)
    smp_dice = segmentation_models_pytorch.losses.DiceLoss("multiclass" if softmax else "binary", eps=SMOOTH)
    found = [
        ("MONAI DiceLoss", "Dice", 14, lambda z, y: monai_dice(z, with_channel(y))),
        ("MONAI DiceCELoss", "Dice and cross-entropy", 16, lambda z, y: monai_dice_ce(z, with_channel(y))),
        # nnU-Net leaves the 1 of 1 - Dice out.
        ("nnU-Net MemoryEfficientSoftDiceLoss", "Dice, linear", 10, lambda z, y: 1 + nnunet_dice(z, y.unsqueeze(1))),
        # It counts both dimensions of voxels together, and the samples of a batch.
        ("smp DiceLoss", "Dice, linear, batch", 12, lambda z, y: smp_dice(z, y)),
    ]
    if softmax:
        both = DC_and_CE_loss(linear, {}, dice_class=MemoryEfficientSoftDiceLoss)
        own = ("nnU-Net DC_and_CE_loss", "Dice and cross-entropy, linear", 12, lambda z, y: 1 + both(z, y.unsqueeze(1)))
        found.append(own)
    return found
