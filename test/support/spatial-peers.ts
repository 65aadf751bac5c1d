// What other libraries say of losses that know where voxels lie: test/peers/spatial.py.
import { readFileSync } from 'node:fs';
import path from 'node:path';

export interface PeerCase {
  loss: string;
  options: object;
  shape: number[];
  x: number[];
  labels: number[];
  value: number;
  gradient: number[];
}

/** The cases of these losses, each with a name for a test. */
export function peerCases(losses: readonly string[]): [string, PeerCase][] {
  const file = process.env.WARPDICE_PEERS_SPATIAL ?? path.join(__dirname, '../peers/spatial.json');
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: PeerCase[] };
  return cases
    .filter(({ loss }) => losses.includes(loss))
    .map((one, i) => [`${i}: ${one.loss} of ${one.shape}`, one]);
}
