// Our call and its peers in turns, on the first case of each selected group; the results go to the parent.
import { DiceLoss, setThreads } from 'warpdice';
import { select } from './cases.js';
import type { MeasureSettings } from './measure-child.js';
import type { Peer, PeerResult } from './peers/peer.js';
import { openPlain } from './peers/plain.js';
import { openTorch } from './peers/torch.js';
import { makeProblem, type Problem } from './problem.js';
import type { PeerTimes } from './results.js';
import { interleave, ratio, summarize, type Timed } from './timing.js';

export type PeersMessage =
  | { readonly type: 'progress'; readonly group: string; readonly stage: string; share: number }
  | { readonly type: 'peers'; readonly peers: PeerTimes[] };

process.once('disconnect', () => process.exit());

const settings = JSON.parse(process.argv[2] as string) as MeasureSettings;
const send = (message: PeersMessage) => process.send?.(message);
const kinds = { 'TypeScript loop': openPlain, PyTorch: openTorch };

/** Peers sum in float32: ten times our own tolerance. */
function faultOf(result: PeerResult, ours: PeerResult): string | undefined {
  if (!(Math.abs(result.value - ours.value) <= 1e-5)) {
    return `value ${result.value} instead of ${ours.value}`;
  }
  const largest = ours.grad.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
  for (let i = 0; i < ours.grad.length; i++) {
    if (!(Math.abs(result.grad[i] - ours.grad[i]) <= 1e-4 * largest)) {
      return `gradient ${result.grad[i]} instead of ${ours.grad[i]} at ${i}`;
    }
  }
  return undefined;
}

function ourCall({ logits, target, out }: Problem, loss: DiceLoss) {
  const run = () => loss.valueAndGrad(logits, target, { out });
  const result = () => {
    run();
    return { value: out.value.itemSync(), grad: (out.grad.data as Float32Array).slice() };
  };
  return { run, result };
}

async function measure(groupIndex: number, groups: ReturnType<typeof select>) {
  const group = groups[groupIndex];
  const results: PeerTimes[] = [];
  const progress = (stage: string, share: number) =>
    send({
      type: 'progress',
      group: group.name,
      stage,
      share: (groupIndex + share) / groups.length,
    });
  const problem = makeProblem(group, group.cases[0], group.shape);
  const { activation } = group;
  const ours = {
    squared: ourCall(problem, problem.loss),
    linear: ourCall(problem, new DiceLoss({ activation, denominator: 'linear' })),
  };
  const right = { squared: ours.squared.result(), linear: ours.linear.result() };
  const peers: Peer[] = [];
  const opened = [];
  for (const [name, open] of Object.entries(kinds)) {
    progress(`checking ${name}`, 0);
    const { skipped, ...rest } = await open(problem, activation);
    opened.push(rest);
    if (skipped) results.push({ group: group.name, name, skipped });
    for (const peer of rest.peers) {
      await peer.tune?.();
      const fault = faultOf(await peer.result(), right[peer.denominator]);
      if (fault) results.push({ group: group.name, name: peer.name, fault });
      else peers.push(peer);
    }
  }
  const timed: Timed[] = [ours.squared, ours.linear, ...peers];
  const times = await interleave(timed, settings.budget, (share) => progress('timing', share));
  const [squared, linear, ...others] = times;
  for (const [i, { name, detail, denominator }] of peers.entries()) {
    const own = denominator === 'squared' ? squared : linear;
    results.push({
      group: group.name,
      name,
      detail,
      denominator,
      ms: summarize(others[i]),
      oursMs: summarize(own),
      toOurs: ratio(others[i], own),
    });
  }
  for (const { close } of opened) close();
  return results;
}

setThreads(settings.threads);
const groups = select(settings.filter).filter(({ tiny }) => !tiny);
for (const i of groups.keys()) send({ type: 'peers', peers: await measure(i, groups) });
process.disconnect?.();
