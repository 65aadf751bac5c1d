// Just enough drawing for the pictures: rectangles, smooth lines, text, PNG.
import { writeFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { glyphHeight, glyphPixel, glyphWidth } from './font.js';

export type Colour = readonly [red: number, green: number, blue: number];
type Point = readonly [x: number, y: number];

export class Canvas {
  #png: PNG;

  constructor(width: number, height: number, background: Colour = [255, 255, 255]) {
    this.#png = new PNG({ width, height });
    this.rectangle(0, 0, width, height, background);
  }

  /** Mixes `colour` into a pixel: opacity 0 leaves it, 1 replaces it. */
  pixel(x: number, y: number, colour: Colour, opacity = 1): void {
    const { width, height, data } = this.#png;
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const at = (y * width + x) * 4;
    for (let i = 0; i < 3; i++) data[at + i] += Math.round((colour[i] - data[at + i]) * opacity);
    data[at + 3] = 255;
  }

  rectangle(left: number, top: number, width: number, height: number, colour: Colour): void {
    for (let y = top; y < top + height; y++) {
      for (let x = left; x < left + width; x++) this.pixel(x, y, colour);
    }
  }

  /** A line through all points. Every pixel takes colour by its distance from the nearest piece. */
  line(points: readonly Point[], colour: Colour, thickness: number, opacity = 1): void {
    const reach = Math.ceil(thickness / 2 + 1);
    const coverage = new Map<string, number>();
    for (let i = 1; i < points.length; i++) {
      const [[x1, y1], [x2, y2]] = [points[i - 1], points[i]];
      const length2 = (x2 - x1) ** 2 + (y2 - y1) ** 2 || 1;
      for (let y = Math.floor(Math.min(y1, y2)) - reach; y <= Math.max(y1, y2) + reach; y++) {
        for (let x = Math.floor(Math.min(x1, x2)) - reach; x <= Math.max(x1, x2) + reach; x++) {
          const along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length2;
          const t = Math.min(1, Math.max(0, along));
          const distance = Math.hypot(x - x1 - t * (x2 - x1), y - y1 - t * (y2 - y1));
          const covered = Math.min(1, thickness / 2 + 0.5 - distance);
          const key = `${x},${y}`;
          if (covered > (coverage.get(key) ?? 0)) coverage.set(key, covered);
        }
      }
    }
    for (const [key, covered] of coverage) {
      const [x, y] = key.split(',').map(Number);
      this.pixel(x, y, colour, covered * opacity);
    }
  }

  /** `align`: where x is in the text, 0 at its left end, 0.5 in the middle, 1 at its right end. */
  text(
    text: string,
    x: number,
    y: number,
    options: { colour?: Colour; scale?: number; align?: number } = {},
  ): void {
    const { colour = [40, 40, 40], scale = 2, align = 0 } = options;
    const left = Math.round(x - align * text.length * glyphWidth * scale);
    [...text].forEach((character, i) => {
      for (let row = 0; row < glyphHeight; row++) {
        for (let column = 0; column < glyphWidth; column++) {
          if (!glyphPixel(character, column, row)) continue;
          const at = left + (i * glyphWidth + column) * scale;
          this.rectangle(at, y + row * scale, scale, scale, colour);
        }
      }
    });
  }

  save(path: string): void {
    writeFileSync(path, PNG.sync.write(this.#png));
  }
}
