"""The sentences of docs/coming-from.md about other libraries, each an assertion on the library itself. Run by theirs.py."""

import inspect
import types
import warnings

import keras
import kornia.losses
import monai.losses
import numpy as np
import optax.losses
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
import torchmetrics.segmentation
from nnunetv2.evaluation.evaluate_predictions import compute_metrics
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.training.loss.robust_ce_loss import TopKLoss
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.helpers import softmax_helper_dim1
from segmentation_models_pytorch.metrics import get_stats, iou_score
from torchvision.ops import sigmoid_focal_loss


class Problem:
    def __init__(self, problem):
        for name in ('logits', 'soft', 'logits1'):
            setattr(self, name, torch.tensor(np.asarray(problem[name])))
        self.truth, self.found = torch.tensor(problem['truth']), torch.tensor(problem['found'])
        for name in ('labels', 'without2', 'mask'):
            setattr(self, name, torch.tensor(problem[name])[:, None])
        self.uneven = self.labels.clone()  # sample 0 lacks class 2
        self.uneven[0][self.uneven[0] == 2] = 1
        self.onehot = monai.networks.one_hot(self.labels, 3).double()


def close(a, b, tolerance=1e-9):
    return abs(float(a) - float(b)) <= tolerance


def raises(action):
    try:
        action()
    except Exception:
        return True
    return False


def dice_ce_with_sigmoid_keeps_the_softmax_cross_entropy(p):
    both = monai.losses.DiceCELoss(to_onehot_y=True, sigmoid=True)(p.logits, p.labels)
    dice = monai.losses.DiceLoss(to_onehot_y=True, sigmoid=True)(p.logits, p.labels)
    assert close(both - dice, F.cross_entropy(p.logits, p.labels[:, 0]))


def dice_focal_with_softmax_keeps_the_binary_focal_loss(p):
    both = monai.losses.DiceFocalLoss(softmax=True)(p.logits, p.onehot)
    dice = monai.losses.DiceLoss(softmax=True)(p.logits, p.onehot)
    assert close(both - dice, monai.losses.FocalLoss()(p.logits, p.onehot))


def dice_focal_without_background_leaves_class_0_out_of_both(p):
    loss = monai.losses.DiceFocalLoss(sigmoid=True, include_background=False)
    other = p.logits.clone()
    other[:, 0] += 1
    assert close(loss(p.logits, p.onehot), loss(other, p.onehot))


def focal_weights_are_not_normalised(p):
    k = torch.tensor([1.0, 2.0, 3.0]).double()
    each = monai.losses.FocalLoss(reduction='none')(p.logits, p.onehot)
    normalised = (each * k[:, None, None]).sum() / (k.sum() * each.numel() / 3)
    assert close(monai.losses.FocalLoss(weight=k)(p.logits, p.onehot), normalised * k.mean(), 1e-6)


def weighted_cross_entropy_of_one_hot_divides_by_the_voxels(p):
    k = torch.tensor([1.0, 2.0, 3.0]).double()
    loss = monai.losses.DiceCELoss(softmax=True, weight=k, lambda_dice=0)
    one_by_one = F.cross_entropy(p.logits, p.labels[:, 0], weight=k, reduction='none')
    assert close(loss(p.logits, p.onehot), one_by_one.mean())


def dice_ce_refuses_a_list_of_weights(p):
    assert raises(lambda: monai.losses.DiceCELoss(to_onehot_y=True, softmax=True, weight=[1, 2, 3])(p.logits, p.labels))


def masked_dice_masks_after_the_activation(p):
    mask = p.mask.double()
    masked = monai.losses.MaskedDiceLoss(softmax=True)(p.logits, p.onehot, mask)
    by_hand = monai.losses.DiceLoss()(torch.softmax(p.logits, 1) * mask, p.onehot * mask)
    assert close(masked, by_hand)


def masked_dice_to_onehot_makes_masked_voxels_background(p):
    mask = p.mask.double()
    found = monai.losses.MaskedDiceLoss(softmax=True, to_onehot_y=True)(p.logits, p.labels, mask)
    target = p.onehot * mask
    target[:, 0] += 1 - mask[:, 0]
    by_hand = monai.losses.DiceLoss()(torch.softmax(p.logits, 1) * mask, target)
    assert close(found, by_hand)


def generalized_dice_takes_a_soft_volume_below_1_as_it_is(p):
    x, t = torch.full((1, 2, 4), 0.5).double(), torch.tensor([[[0.1] * 4, [0.9] * 4]]).double()
    w = [1 / 0.4**2, 1 / 3.6**2]
    by_hand = 1 - (2 * (w[0] * 0.2 + w[1] * 1.8) + 1e-5) / (w[0] * (0.4 + 2) + w[1] * (3.6 + 2) + 1e-5)
    assert close(monai.losses.GeneralizedDiceLoss()(x, t), by_hand, 1e-6)


def generalized_dice_of_a_sample_without_counted_target_is_0(p):
    loss = monai.losses.GeneralizedDiceLoss(softmax=True, include_background=False, to_onehot_y=True)
    assert close(loss(p.logits, torch.zeros_like(p.labels)), 0, 1e-4)


def wasserstein_divides_the_matrix_by_its_largest_element(p):
    m = np.array([[0, 1, 1], [1, 0, 0.5], [1, 0.5, 0]])
    one, twice = (monai.losses.GeneralizedWassersteinDiceLoss(k * m)(p.logits, p.labels) for k in (1, 2))
    assert close(one, twice)


def dice_ignores_the_weight_of_a_single_counted_class(p):
    x, t = p.logits[:, :2], p.onehot[:, :2]
    plain, weighted = (
        monai.losses.DiceLoss(softmax=True, include_background=False, weight=w)(x, t) for w in (None, [5.0])
    )
    assert close(plain, weighted)


def squared_pred_is_a_difference_of_large_sums(p):
    torch.manual_seed(0)
    x = torch.rand(1, 1, 2**22, dtype=torch.float32) * 1e-3
    t = (torch.rand(1, 1, 2**22) < 1e-5).float()
    loss = monai.losses.DiceLoss(squared_pred=True, smooth_nr=0, smooth_dr=1e-7)
    assert abs(loss(x, t) - loss(x.double(), t.double())) > 1e-5


def focal_gradients_are_nan_at_certainty(p):
    x = torch.tensor([[[1000.0], [0.0]]], requires_grad=True)
    monai.losses.FocalLoss(gamma=0.5, use_softmax=True)(x, torch.tensor([[[1.0], [0.0]]])).backward()
    assert x.grad.isnan().all()
    z = torch.full((1, 1, 1, 1), 100.0, requires_grad=True)
    smp.FocalLoss('binary', gamma=0.5)(z, torch.ones(1, 1, 1, 1)).backward()
    assert z.grad.isnan().all()


def monai_warns_of_softmax_with_one_class(p):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always')
        monai.losses.DiceLoss(softmax=True)(p.logits1, torch.ones_like(p.logits1))
    assert any('softmax' in str(w.message) for w in found)


def nnunet_batch_dice_needs_a_process_group(p):
    loss = MemoryEfficientSoftDiceLoss(softmax_helper_dim1, batch_dice=True)
    assert raises(lambda: loss(p.logits, p.labels))


def unified_focal_takes_probabilities_and_averages_its_focal_part_over_the_classes(p):
    z = p.logits[:, :2]
    q, onehot = torch.softmax(z, 1), monai.networks.one_hot((p.labels > 0).long(), 2).double()
    loss = monai.losses.AsymmetricUnifiedFocalLoss(weight=1, gamma=0, delta=0.5)
    assert close(loss(q, onehot), F.cross_entropy(z, onehot) / 4, 1e-7)
    assert raises(lambda: monai.losses.AsymmetricUnifiedFocalLoss()(p.logits, p.onehot[:, :2]))


def nnunet_region_loss_divides_by_the_voxels(p):
    mask = p.mask.double()
    target = torch.cat([p.onehot, 1 - mask], 1)
    loss = DC_and_BCE_loss({'reduction': 'none'}, {}, use_ignore_label=True, weight_dice=0)
    bce = F.binary_cross_entropy_with_logits(p.logits, p.onehot, reduction='none') * mask
    assert close(loss(p.logits, target), bce.sum() / mask.sum(), 1e-7)


def nnunet_trainer_loss():
    trainer = types.SimpleNamespace(
        label_manager=types.SimpleNamespace(has_regions=False, ignore_label=None),
        configuration_manager=types.SimpleNamespace(batch_dice=False),
        is_ddp=False,
        enable_deep_supervision=True,
        _do_i_compile=lambda: False,
        _get_deep_supervision_scales=lambda: [1, 1, 1, 1],
    )
    return nnUNetTrainer._build_loss(trainer)


def nnunet_deep_supervision_leaves_out_the_last_scale(p):
    weights = nnunet_trainer_loss().weight_factors
    assert np.allclose(weights, np.array([1, 1 / 2, 1 / 4, 0]) / 1.75)


def nnunet_smooth_is_1_and_1e_5_in_its_trainers(p):
    assert MemoryEfficientSoftDiceLoss().smooth == 1
    assert nnunet_trainer_loss().loss.dc.smooth == 1e-5


def nnunet_metrics_leave_out_what_is_nowhere_and_count_false_alarms(p):
    files = {'truth': p.truth, 'found': p.found}
    reader = types.SimpleNamespace(read_seg=lambda name: (files[name].numpy()[None], {}))
    found = compute_metrics('truth', 'found', reader, [0, 1, 2, 3])['metrics']
    assert found[2]['Dice'] == 0 and np.isnan(found[3]['Dice']) and found[1]['Dice'] > 0


def optax_refuses_a_list_of_class_weights(p):
    x, t = (np.moveaxis(a.numpy(), 1, -1) for a in (p.logits, p.onehot))
    assert raises(lambda: optax.losses.dice_loss(x, t, class_weights=[1, 2, 3]))
    optax.losses.dice_loss(x, t, class_weights=np.array([1, 2, 3]))


def nnunet_top_k_counts_ignored_voxels(p):
    labels = p.labels.clone()
    labels[:, :, 1:] = 255
    each = F.cross_entropy(p.logits, labels[:, 0], ignore_index=255, reduction='none')
    assert close(TopKLoss(k=100, ignore_index=255)(p.logits, labels), each.sum() / labels.numel())


def smp_tversky_gradient_is_nan_at_a_perfect_match(p):
    x = torch.full((1, 1, 2, 2), 1000.0, requires_grad=True)
    smp.TverskyLoss('binary', gamma=0.75)(x, torch.ones(1, 1, 2, 2)).backward()
    assert x.grad.isnan().any()


def smp_tversky_gamma_is_the_exponent_of_the_mean(p):
    plain, power = (smp.TverskyLoss('multiclass', gamma=g)(p.logits, p.labels[:, 0]) for g in (1, 0.75))
    assert close(power, plain**0.75)


def smp_eps_is_a_lower_limit_of_the_denominator(p):
    x = torch.logit(torch.full((1, 1, 2, 2), 1e-9).double())
    t = torch.zeros(1, 1, 2, 2)
    t[0, 0, 0, 0] = 1
    for eps, denominator in ((1e-7, (1 + 4e-9) / 2), (2.0, 2.0)):  # which is (P + T) / 2
        assert close(1 - smp.DiceLoss('binary', eps=eps)(x, t), 1e-9 / denominator, 1e-15)


def smp_is_0_where_nothing_is_left(p):
    ignored = torch.full_like(p.labels[:, 0], 255)
    assert close(smp.DiceLoss('multiclass', ignore_index=255)(p.logits, ignored), 0)


def torchmetrics_dice_score_takes_the_mean_over_the_classes_first(p):
    def dice(**options):
        return torchmetrics.segmentation.DiceScore(4, input_format='index', **options)(p.found, p.truth)

    one_by_one = [torchmetrics.segmentation.DiceScore(4, average='none', input_format='index') for _ in p.truth]
    rows = [m(f[None], t[None]) for m, f, t in zip(one_by_one, p.found, p.truth)]
    by_hand = np.mean([np.nanmean(row.numpy()) for row in rows])
    assert close(dice(average='macro'), by_hand, 1e-6)


def torchmetrics_mean_iou_of_a_class_that_is_nowhere_is_minus_1(p):
    iou = torchmetrics.segmentation.MeanIoU(4, per_class=True, input_format='index')(p.found, p.truth)
    assert close(iou[3], -1)


def smp_micro_imagewise_is_the_mean_of_the_samples_micro_scores(p):
    def micro(found, truth):
        sums = get_stats(found, truth, mode='multiclass', num_classes=4)
        return iou_score(*sums, reduction='micro')

    sums = get_stats(p.found, p.truth, mode='multiclass', num_classes=4)
    each = [micro(f[None], t[None]) for f, t in zip(p.found, p.truth)]
    assert close(iou_score(*sums, reduction='micro-imagewise'), np.mean(each), 1e-6)


def keras_documents_alpha_as_the_weight_of_false_positives(p):
    assert 'alpha: The coefficient controlling incidence of false positives' in keras.losses.Tversky.__doc__
    t, x = torch.tensor([1.0, 0]), torch.tensor([0.5, 0])  # a false negative alone
    assert close(keras.losses.Tversky(alpha=0, beta=1)(t, x), 0, 1e-6)
    assert close(keras.losses.Tversky(alpha=1, beta=0)(t, x), 0.5, 1e-6)


def kornia_takes_images_alone(p):
    assert raises(lambda: kornia.losses.DiceLoss()(p.logits[:, :, None], p.labels[:, 0, None]))


def kornia_takes_the_mean_over_the_present_classes_of_a_sample_first(p):
    def loss(n):
        return kornia.losses.TverskyLoss(0.3, 0.7)(p.logits[n], p.uneven[n, 0])

    both = slice(None)
    assert close(loss(both), (loss([0]) + loss([1])) / 2)
    assert loss([0]) != loss([1])


def cross_entropy_of_probabilities_divides_by_the_voxels(p):
    k = torch.tensor([1.0, 2.0, 3.0])
    each = F.cross_entropy(p.logits, p.labels[:, 0], weight=k, reduction='none')
    assert close(torch.nn.CrossEntropyLoss(weight=k)(p.logits, p.onehot), each.mean())


def torch_losses_take_no_mask(p):
    for loss in (torch.nn.CrossEntropyLoss, torch.nn.BCEWithLogitsLoss):
        assert [*inspect.signature(loss.forward).parameters] == ['self', 'input', 'target']
    assert 'ignore_index' in inspect.signature(torch.nn.CrossEntropyLoss).parameters
    assert 'ignore_index' not in inspect.signature(torch.nn.BCEWithLogitsLoss).parameters


def bce_does_not_divide_by_its_weights(p):
    k = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    each = F.binary_cross_entropy_with_logits(p.logits, p.onehot, reduction='none')
    assert close(torch.nn.BCEWithLogitsLoss(weight=k)(p.logits, p.onehot), (each * k).mean())


def torchvision_focal_has_alpha_and_does_not_reduce(p):
    found, given, plain = (sigmoid_focal_loss(p.logits, p.onehot, **a) for a in ({}, {'alpha': 0.25}, {'alpha': -1}))
    assert found.shape == p.logits.shape and torch.equal(found, given) and not torch.equal(found, plain)


def check(problem):
    """Runs every fact. Returns how many are wrong."""
    given = Problem(problem)
    facts = [f for f in globals().values() if inspect.isfunction(f) and [*inspect.signature(f).parameters] == ['p']]
    wrong = 0
    for fact in facts:
        try:
            fact(given)
        except Exception as error:
            wrong += 1
            print(f'wrong: {fact.__name__}: {type(error).__name__} {error}')
    print(f'{len(facts)} sentences, {wrong} wrong')
    return wrong
