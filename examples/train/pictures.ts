// The two pictures: the curves of the training, and the predictions for held-out slices.
import { writeFileSync } from 'node:fs';
import { lineChart } from '../plot.js';
import { Canvas, type Colour } from './canvas.js';
import type { Slices } from './data.js';
import { count } from './metrics.js';
import { classNames } from './model.js';

export interface Curve {
  name: string;
  loss: number[]; // of every step
  heldOut: { step: number; dice: number }[]; // mean foreground Dice, now and then
}

const runColours = ['one', 'two'] as const;
/** The colour that is drawn over each class of a slice; nothing is drawn outside the brain. */
const classColours: (Colour | undefined)[] = [undefined, [0, 158, 200], [255, 176, 0]];

/** Left: the loss of every step. Right: Dice on the held-out slices. */
export function drawCurves(path: string, curves: Curve[], steps: number): void {
  const highest = Math.max(...curves.flatMap((curve) => curve.loss.filter(Number.isFinite)), 0.1);
  const x = { label: 'step', to: steps };
  const points = (values: number[]) =>
    values.map((v, i) => [i + 1, Number.isFinite(v) ? v : highest] as const);
  const chart = lineChart({
    title: 'Training a small U-Net on slices of a macaque brain',
    columns: 2,
    panelSize: [460, 320],
    note:
      curves.length > 1
        ? 'The losses are on different scales: compare the right side.'
        : 'Pale: the loss of every step. Strong: smoothed.',
    panels: [
      {
        title: 'Loss',
        x,
        y: { to: highest },
        curves: curves.flatMap(({ name, loss }, i) => [
          { colour: runColours[i], points: points(loss), opacity: 0.35 },
          { name: `trained with ${name}`, colour: runColours[i], points: points(smooth(loss)) },
        ]),
      },
      {
        title: 'Held-out Dice, mean of grey and white',
        x,
        y: { to: 1 },
        curves: curves.map(({ name, heldOut }, i) => ({
          name: `trained with ${name}`,
          colour: runColours[i],
          points: heldOut.map(({ step, dice }) => [step, dice] as const),
          dots: true,
        })),
      },
    ],
  });
  writeFileSync(path, chart);
}

/** One row per slice: the image, the labels, and the prediction of each network. */
export function drawSlices(
  path: string,
  slices: Slices,
  chosen: number[],
  predictions: { name: string; labels: Uint8Array }[],
): void {
  const { height, width, images, labels, numbers } = slices;
  const area = height * width;
  const zoom = Math.max(1, Math.round(360 / height));
  const columns = [{ name: 'truth (atlas)', labels }, ...predictions];
  const cell = { width: Math.max(zoom * width, 312) + 24, height: zoom * height + 60 };
  const canvas = new Canvas(
    cell.width * (columns.length + 1) + 20,
    cell.height * chosen.length + 110,
  );
  classColours.forEach((colour, c) => {
    if (colour) legend(canvas, [0, 20, 480][c], 20, colour, classNames[c]);
  });

  const darkest = images.reduce((a, b) => Math.min(a, b));
  const brightest = images.reduce((a, b) => Math.max(a, b));
  chosen.forEach((slice, row) => {
    const top = 100 + row * cell.height;
    const panel = (column: number, overlay?: Uint8Array) => {
      for (let y = 0; y < height * zoom; y++) {
        for (let x = 0; x < width * zoom; x++) {
          // Row 0 of the volume is the back of the head: draw it at the bottom.
          const voxel = (height - 1 - Math.floor(y / zoom)) * width + Math.floor(x / zoom);
          const at = slice * area + voxel;
          const grey = (255 * (images[at] - darkest)) / (brightest - darkest);
          const px = 20 + column * cell.width + x;
          canvas.pixel(px, top + y, [grey, grey, grey]);
          const colour = classColours[overlay?.[at] ?? 0];
          if (colour) canvas.pixel(px, top + y, colour, 0.5);
        }
      }
    };
    const caption = (column: number, text: string) =>
      canvas.text(text, 20 + column * cell.width, top + height * zoom + 8);

    if (row === 0) canvas.text('T1 image', 20, top - 24);
    panel(0);
    caption(0, `slice ${numbers[slice]}`);
    columns.forEach(({ name, labels: shown }, i) => {
      if (row === 0) canvas.text(name, 20 + (i + 1) * cell.width, top - 24);
      panel(i + 1, shown);
      if (shown === labels) return;
      const range = [slice * area, (slice + 1) * area] as const;
      const dice = count(shown.subarray(...range), labels.subarray(...range)).perClass('dice');
      const [grey, white] = [dice[1], dice[2]].map((v) => v.toFixed(2));
      caption(i + 1, `Dice: grey ${grey}, white ${white}`);
    });
  });
  canvas.save(path);
}

function legend(canvas: Canvas, x: number, y: number, colour: Colour, text: string): void {
  canvas.rectangle(x, y, 22, 14, colour);
  canvas.text(text, x + 32, y);
}

/** The mean of the last few values, for each value. */
function smooth(values: number[]): number[] {
  const window = Math.max(1, Math.round(values.length / 15));
  return values.map((_, i) => {
    const recent = values.slice(Math.max(0, i + 1 - window), i + 1);
    return recent.reduce((sum, v) => sum + v, 0) / recent.length;
  });
}
