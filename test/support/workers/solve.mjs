// Solves a list of problems with the SIMD target that the environment forces. Arguments: the file to read, the file to write.
import { readFileSync, writeFileSync } from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { DiceLoss, JaccardLoss, simdTarget } from '../../../dist/index.js';

const problems = deserialize(readFileSync(process.argv[2]));
const solutions = problems.map(({ loss, lossOptions, predictions, target, options }) => {
  const made = loss === 'dice' ? new DiceLoss(lossOptions) : new JaccardLoss(lossOptions);
  const { value, perClass, grad } = made.valueAndGrad(predictions, target, options);
  const plain = ({ data, dtype }) => ({ data, dtype });
  return { value: plain(value), perClass: plain(perClass), grad: plain(grad) };
});
writeFileSync(process.argv[3], serialize({ target: simdTarget(), solutions }));
