// The predictions of one scale of a deep supervision: a tensor or linearLogits.
import type { Device } from '../devices/device.js';
import { LinearLogits, type Predictions, type Shaped } from '../head/linear-logits.js';
import { toTensor, toTensorOn } from '../tensors/argument.js';
import { floats } from '../tensors/dtype.js';
import type { Tensor } from '../tensors/tensor.js';

export interface ScalePredictions {
  x: Tensor | LinearLogits;
  shaped: Shaped;
  device: Device;
}

export function toPredictions(
  like: Predictions,
  name: string,
  channelsLast: boolean,
): ScalePredictions {
  if (like instanceof LinearLogits) {
    return { x: like, shaped: like.shaped(channelsLast, name), device: like.features.device };
  }
  const x = toTensor(like, name, floats);
  return { x, shaped: x, device: x.device };
}

export function toPredictionsOn(
  device: Device,
  like: Predictions,
  name: string,
  channelsLast: boolean,
): ScalePredictions {
  const isLinear = like instanceof LinearLogits;
  toTensorOn(device, isLinear ? like.features : like, isLinear ? `${name}.features` : name, floats);
  return toPredictions(like, name, channelsLast);
}
