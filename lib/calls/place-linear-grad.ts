// The gradient of a call with linearLogits: of the features, the weight and the bias.
import { checkFlag, checkKeys, needs } from '../common/check.js';
import type { LinearAccumulate, LinearGrad, LinearGradOut } from '../head/linear-grad.js';
import type { LinearLogits } from '../head/linear-logits.js';
import { codeOf, type DType, isHalf } from '../tensors/dtype.js';
import type { Tensor } from '../tensors/tensor.js';
import { memoryOf } from './native-call.js';
import { gradBuffer } from './outputs.js';
import type { PreparedCall } from './prepared-call.js';

const parts = ['features', 'weight', 'bias'] as const;
type Part = (typeof parts)[number];

/** Sets where a call writes its gradient. */
export function placeLinearGrad(
  call: PreparedCall,
  logits: LinearLogits,
  out: LinearGradOut | undefined,
  gradDtype: DType | undefined,
  accumulate: boolean | LinearAccumulate | undefined,
): void {
  const { native, names } = call;
  const all = names.out.grad;
  checkKeys(out, all, parts);
  const adds = accumulated(accumulate);
  const { weight, bias } = logits;
  if (bias === undefined && out?.bias != null) throw needs(`${all}.bias`, 'a bias of linearLogits');
  if (parts.every((part) => out?.[part] === null)) {
    throw needs(all, 'a part that is not null: features, weight or bias');
  }
  const place = (part: Part, like: Tensor | undefined, dtype: DType | undefined) => {
    const given = out?.[part];
    if (given === null || like === undefined) return null;
    return gradBuffer(like, `${all}.${part}`, given, dtype, adds[part], call);
  };
  const ofWeights = gradDtype === 'float32' && isHalf(weight.dtype) ? gradDtype : undefined;
  const grad: LinearGrad = {
    features: place('features', logits.features, gradDtype),
    weight: place('weight', weight, ofWeights),
    bias: place('bias', bias, ofWeights),
  };
  expectSameDType(grad, all);
  call.linearGrad = grad;
  call.grad = grad.features ?? undefined;
  if (grad.features !== null) {
    native.grad = memoryOf(grad.features);
    native.gradType = codeOf(grad.features.dtype);
  } else {
    native.gradType = native.predictionsType;
  }
  const { dtype } = grad.weight ?? grad.bias ?? weight;
  native.headGradType = codeOf(dtype);
  if (grad.weight !== null) native.headWeightGrad = memoryOf(grad.weight);
  if (grad.bias !== null) native.headBiasGrad = memoryOf(grad.bias);
  native.accumulate = adds.features;
  native.accumulateWeight = adds.weight;
  native.accumulateBias = adds.bias;
}

function accumulated(value: boolean | LinearAccumulate | undefined): Record<Part, boolean> {
  if (typeof value === 'object' && value !== null) {
    checkKeys(value, 'accumulate', parts);
    const of = (part: Part) => checkFlag(value[part], `accumulate.${part}`, false);
    return { features: of('features'), weight: of('weight'), bias: of('bias') };
  }
  const every = checkFlag(value, 'accumulate', false);
  return { features: every, weight: every, bias: every };
}

function expectSameDType({ weight, bias }: LinearGrad, all: string): void {
  if (weight === null || bias === null || weight.dtype === bias.dtype) return;
  throw new TypeError(
    `Expected dtype ${weight.dtype}, that of ${all}.weight, for ${all}.bias but received ${bias.dtype}`,
  );
}
