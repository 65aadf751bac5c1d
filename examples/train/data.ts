// The MRI volume of examples/data as axial slices, split into training and held-out ones.
import { readFileSync } from 'node:fs';
import * as nifti from 'nifti-reader-js';

/**
 * Slices 52 to 67 are held out: 8 mm of the middle of the brain, in one block, because a slice is
 * nearly a copy of its neighbour. The five slices (2.5 mm) on either side are not used at all: six
 * slices apart, one slice's labels agree with the other's to a Dice of .67 (grey) and .42 (white),
 * against .91 and .84 for neighbours.
 */
export const heldOut = { first: 52, count: 16, gap: 5 };

/** The slices below are left out: they show little brain, and nothing like the middle of it. */
const firstTraining = 24;

/** Slices, one after the other: images [count, height, width], labels the same shape. */
export interface Slices {
  images: Float32Array;
  labels: Uint8Array;
  /** The slice number in the volume, for each slice. */
  numbers: number[];
  height: number;
  width: number;
}

/** The part of a slice of 160 x 192 that the brain lies in, in all slices; the rest is black. */
const brain = { left: 16, top: 10, width: 128, height: 160 };

/** `size` is the height in pixels to which the 128 x 160 pixels of the brain are resampled. */
export function loadSlices(folder: string, size: number): { training: Slices; heldOut: Slices } {
  const t1 = cropped(readVolume(`${folder}/brain-t1.nii.gz`));
  const tissue = cropped(readVolume(`${folder}/brain-tissue.nii.gz`));
  const { first, count, gap } = heldOut;
  const isHeldOut = (z: number) => z >= first && z < first + count;
  const isTraining = (z: number) =>
    z >= firstTraining && (z < first - gap || z >= first + count + gap);
  const all = [...Array(t1.depth).keys()];

  const training = resample(t1, tissue, all.filter(isTraining), size);
  const test = resample(t1, tissue, all.filter(isHeldOut), size);
  // Mean 0 and deviation 1 inside the brain (outside is black), by the training slices alone.
  const inside = training.images.filter((v) => v > 20);
  const mean = inside.reduce((sum, v) => sum + v, 0) / inside.length;
  const variance = inside.reduce((sum, v) => sum + (v - mean) ** 2, 0) / inside.length;
  for (const { images } of [training, test]) {
    for (let i = 0; i < images.length; i++) images[i] = (images[i] - mean) / Math.sqrt(variance);
  }
  return { training, heldOut: test };
}

/**
 * A function that fills `images` and `labels` with the next batch: all slices in random order, half
 * of them mirrored left to right, then all again in another order.
 */
export function sampler(slices: Slices, batch: number, random: () => number) {
  const { width } = slices;
  const area = slices.height * width;
  let order: number[] = [];
  return (images: Float32Array, labels: Uint8Array) => {
    for (let i = 0; i < batch; i++) {
      if (order.length === 0) order = shuffled(slices.numbers.length, random);
      const begin = (order.pop() as number) * area;
      images.set(slices.images.subarray(begin, begin + area), i * area);
      labels.set(slices.labels.subarray(begin, begin + area), i * area);
      if (random() < 0.5) continue;
      for (let row = i * area; row < (i + 1) * area; row += width) {
        images.subarray(row, row + width).reverse();
        labels.subarray(row, row + width).reverse();
      }
    }
  };
}

/** 0 to n - 1 in random order (Fisher-Yates). */
function shuffled(n: number, random: () => number): number[] {
  const order = [...Array(n).keys()];
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

interface Volume {
  data: Uint8Array; // [depth, height, width]
  depth: number;
  height: number;
  width: number;
}

function readVolume(path: string): Volume {
  const file = readFileSync(path);
  const bytes = nifti.decompress(new Uint8Array(file).buffer) as ArrayBuffer;
  const header = nifti.readHeader(bytes);
  if (!header) throw new Error(`${path} is not a NIfTI volume`);
  const [, width, height, depth] = header.dims;
  return { data: new Uint8Array(nifti.readImage(header, bytes)), depth, height, width };
}

function cropped({ data, depth, height, width }: Volume): Volume {
  const result = new Uint8Array(depth * brain.height * brain.width);
  for (let row = 0; row < depth * brain.height; row++) {
    const [z, y] = [Math.floor(row / brain.height), row % brain.height];
    const begin = (z * height + brain.top + y) * width + brain.left;
    result.set(data.subarray(begin, begin + brain.width), row * brain.width);
  }
  return { data: result, depth, height: brain.height, width: brain.width };
}

/** A pixel covers `step` x `step` voxels: their mean in the image, their commonest label. */
function resample(image: Volume, label: Volume, numbers: number[], size: number): Slices {
  const step = Math.max(image.height, image.width) / size;
  const [height, width] = [image.height, image.width].map((side) => Math.round(side / step));
  const images = new Float32Array(numbers.length * height * width);
  const labels = new Uint8Array(images.length);
  let i = 0;
  for (const z of numbers) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const voxels = box(image, z, y * step, x * step, step);
        images[i] = voxels.reduce((sum, v) => sum + image.data[v], 0) / voxels.length;
        labels[i] = commonest(voxels.map((v) => label.data[v]));
      }
    }
  }
  return { images, labels, numbers, height, width };
}

/** The indices of the voxels of slice z that share area with the square of this corner and side. */
function box({ height, width }: Volume, z: number, top: number, left: number, side: number) {
  const end = (from: number, limit: number) => Math.min(limit, Math.ceil(from + side - 1e-9));
  const indices: number[] = [];
  for (let y = Math.floor(top + 1e-9); y < end(top, height); y++) {
    for (let x = Math.floor(left + 1e-9); x < end(left, width); x++) {
      indices.push((z * height + y) * width + x);
    }
  }
  return indices;
}

/** The smallest one, if several are equally common. */
function commonest(values: number[]): number {
  const count = (value: number) => values.filter((v) => v === value).length;
  return values.reduce((best, v) => {
    const difference = count(v) - count(best);
    return difference > 0 || (difference === 0 && v < best) ? v : best;
  });
}
