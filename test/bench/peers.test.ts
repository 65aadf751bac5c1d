// The peers that need nothing beyond what is installed here: their value and gradient are ours, which are right; what is not is found.
import { describe, expect, test } from '@jest/globals';
import { faultOf, solve } from '../../bench/cases/answer.js';
import { base } from '../../bench/cases/cases.js';
import { makeProblem } from '../../bench/cases/problem.js';
import { type OpenPeers, type PeerResult, peerFault } from '../../bench/peers/peer.js';
import { openPlain } from '../../bench/peers/plain.js';
import { openTfjs } from '../../bench/peers/tfjs.js';

function ours(activation: 'sigmoid' | 'softmax', shape: readonly number[]): PeerResult {
  const problem = makeProblem({ activation }, base, shape);
  const { loss, logits, target, out } = problem;
  loss.valueAndGrad(logits, target, { out });
  expect(faultOf(problem, solve({ activation }, shape, 'Dice'), out, 1)).toBeUndefined();
  return { value: out.value.itemSync(), grad: out.grad.data as Float32Array };
}

describe.each([
  ['sigmoid' as const, [3, 1, 5, 7]],
  ['softmax' as const, [2, 4, 8, 16]],
])('%s %j', (activation, shape) => {
  test.each<[string, OpenPeers]>([
    ['TypeScript loop', openPlain],
    ['TensorFlow.js, cpu', openTfjs('cpu')],
  ])('%s is right, and so it is when it is called again', async (name, open) => {
    const { peers, skipped, close } = await open(
      makeProblem({ activation }, base, shape),
      activation,
    );
    expect(skipped).toBeUndefined();
    expect(peers.map((peer) => peer.name)).toEqual([name]);
    for (const peer of peers) {
      expect(await peer.time(2)).toBeGreaterThan(0);
      expect(peerFault(await peer.result(), ours(activation, shape))).toBeUndefined();
    }
    close();
  });
});

test('a value or a last gradient that is off is a fault, and so is NaN', () => {
  const right = ours('softmax', [2, 4, 8, 16]);
  const largest = right.grad.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
  const last = right.grad.length - 1;
  const off = (by: number) => {
    const grad = right.grad.slice();
    grad[last] = Number(grad[last]) + by * largest;
    return { ...right, grad };
  };
  expect(peerFault(off(0.9e-4), right)).toBeUndefined();
  for (const by of [1.1e-4, -1.1e-4, Number.NaN]) {
    expect(peerFault(off(by), right)).toMatch(new RegExp(`^gradient .* at ${last}$`));
  }
  for (const value of [right.value + 1.1e-5, Number.NaN]) {
    expect(peerFault({ ...right, value }, right)).toMatch(/^value /);
  }
});
