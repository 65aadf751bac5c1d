// What the counts should be: at most so many instructions an element, and at least so large a share of a copy's speed.

const groups = [
  { most: 8, statistics: [26, 0.85], gradient: [32, 0.9] },
  { most: 32, statistics: [22, 0.85], gradient: [36, 0.9] },
  { most: Number.POSITIVE_INFINITY, statistics: [26, 0.75], gradient: [40, 0.8] },
];
const halves = { statistics: [20, 0.7], gradient: [36, 0.75] };
const channelsLast = { statistics: 0.75, gradient: 0.8 };

/** { instructions, share } of a row. */
export function targetOf({ classes, shape, dtype, labels, layout, loss, voxelWeights, kernel }) {
  const small = shape.reduce((product, size) => product * size) <= 2 ** 22;
  const group = groups.find(({ most }) => classes <= most);
  let [instructions, share] = (dtype === 'float32' ? group : halves)[kernel];
  if (small && kernel === 'statistics') share = Math.min(share, 0.75);
  if (layout === 'channels-last') {
    instructions *= 1.2;
    share = Math.min(share, channelsLast[kernel]);
  }
  if (loss === 'dice-ce') {
    instructions *= 1.25;
    share = Math.min(share, 0.7);
  }
  if (labels !== 'uint8' || (voxelWeights ?? 'none') !== 'none') {
    instructions *= 1.5;
    share = Math.min(share, 0.6);
  }
  return { instructions, share };
}
