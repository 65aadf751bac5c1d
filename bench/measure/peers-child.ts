// Our call and its peers in turns, on the first case of each selected shape; the results go to the parent.
import os from 'node:os';
import { setThreads } from 'warpdice';
import { faultOf, solve } from '../cases/answer.js';
import { type Group, lacksMemory, select } from '../cases/cases.js';
import { type LossName, losses } from '../cases/losses.js';
import { makeProblem, type Problem, wipe } from '../cases/problem.js';
import { openJaxJs } from '../peers/jaxjs.js';
import { firstLine, type OpenPeers, type Peer, peerFault, skip } from '../peers/peer.js';
import { openPlain } from '../peers/plain.js';
import { openTfjs } from '../peers/tfjs.js';
import { openTorch } from '../peers/torch.js';
import type { PeerTimes } from '../report/results.js';
import { type ChildSettings, inChild } from './processes.js';
import { interleave, ratio, summarize } from './timing.js';

export interface PeersMessage {
  readonly type: 'peers';
  readonly peers: readonly PeerTimes[];
}

/** slow: seconds a call. */
const kinds: readonly { name: string; open: OpenPeers; slow?: true }[] = [
  { name: 'TypeScript loop', open: openPlain },
  { name: 'TensorFlow.js, cpu', open: openTfjs('cpu'), slow: true },
  { name: 'TensorFlow.js, wasm', open: openTfjs('wasm') },
  { name: 'jax-js, wasm', open: openJaxJs },
  { name: 'PyTorch', open: openTorch },
];

/** Timed on the case; checked, and set beside the peers' results, on the same numbers in float32. */
function ourCall(group: Group, problem: Problem, inFloat32: Problem, name: LossName) {
  const { activation, shape } = group;
  const loss = losses[name].make({ activation, layout: problem.case.layout });
  const call = ({ logits, target, out: { value, grad } }: Problem) =>
    loss.valueAndGrad(logits, target, { out: { value, grad } });
  wipe(inFloat32.out);
  call(inFloat32);
  const { value, grad } = inFloat32.out;
  const fault = faultOf(inFloat32, solve(group, shape, name), { value, grad }, 1);
  globalThis.gc?.(); // the answer would count as memory that is not free
  const result = () => {
    call(inFloat32);
    return { value: value.itemSync(), grad: grad.data as Float32Array };
  };
  return { fault, run: () => call(problem), result };
}

async function measure(group: Group, settings: ChildSettings): Promise<PeerTimes[]> {
  const results: PeerTimes[] = [];
  const { activation, shape } = group;
  const [c] = group.cases;
  const float32 = { ...c, dtype: 'float32' as const };
  const reason = lacksMemory({ ...group, cases: [c, float32] }, os.freemem());
  if (reason) return kinds.map(({ name }) => ({ group: group.name, name, skipped: reason }));
  const problem = makeProblem(group, c, shape);
  const inFloat32 = c.dtype === 'float32' ? problem : makeProblem(group, float32, shape);
  const ours = new Map<LossName, ReturnType<typeof ourCall>>();
  for (const { name, open, slow } of kinds) {
    console.error(`  ${group.name}, ${name}`);
    const leftOut = slow && (settings.quick || group.extent === 'more');
    const opened = leftOut
      ? skip('takes seconds a call: on the main shapes only, and not with --quick')
      : await open(inFloat32, activation, group.extent === 'more').catch((error) =>
          skip(firstLine(error)),
        );
    if (opened.skipped) results.push({ group: group.name, name, skipped: opened.skipped });
    for (const peer of opened.peers) {
      try {
        results.push({ group: group.name, name: peer.name, ...(await against(peer)) });
      } catch (error) {
        results.push({ group: group.name, name: peer.name, skipped: firstLine(error) });
      }
    }
    opened.close();
  }
  return results;

  /** Peer and our call in turns. */
  async function against(peer: Peer): Promise<Omit<PeerTimes, 'group' | 'name'>> {
    const own = ours.get(peer.loss) ?? ourCall(group, problem, inFloat32, peer.loss);
    ours.set(peer.loss, own);
    if (own.fault) return { oursFault: own.fault };
    const fault = peerFault(await peer.result(), own.result(), peer.within);
    if (fault) return { fault };
    await peer.tune?.();
    const [oursMs, ms] = (await interleave([own, peer], settings.budget)) as [number[], number[]];
    return {
      detail: c.dtype === 'float32' ? peer.detail : `float32, ours ${c.dtype}; ${peer.detail}`,
      loss: peer.loss,
      ms: summarize(ms),
      oursMs: summarize(oursMs),
      toOurs: ratio(ms, oursMs),
    };
  }
}

await inChild<PeersMessage>(async (settings, send) => {
  setThreads(settings.threads);
  for (const group of select(settings)) {
    if (group.extent !== 'tiny') send({ type: 'peers', peers: await measure(group, settings) });
  }
});
