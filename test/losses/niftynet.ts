// NiftyNet, layer/loss_segmentation.py (generalised_wasserstein_dice_loss), by the paper's authors; written down again literally:
// W first, then all errors and the weighted true positives.

/** prediction and one_hot: [voxels][classes], of one sample; M: distances, class 0 the background. */
export function niftyNetWassersteinDiceLoss(
  prediction: number[][],
  one_hot: number[][],
  M: number[][],
): number {
  const delta = prediction.map((p, voxel) => {
    let distance = 0;
    for (let i = 0; i < p.length; i++)
      for (let j = 0; j < p.length; j++)
        distance += (M[i]?.[j] as number) * (p[i] as number) * (one_hot[voxel]?.[j] as number);
    return distance;
  });
  const all_error = delta.reduce((a, b) => a + b);
  let true_pos = 0;
  one_hot.forEach((t, voxel) => {
    const weight = t.reduce((sum, tc, c) => sum + tc * (M[0]?.[c] as number), 0);
    true_pos += weight * (1 - (delta[voxel] as number));
  });
  return 1 - (2 * true_pos) / (2 * true_pos + all_error);
}
