// Just enough drawing for the overlays: pixels, rectangles, text, PNG.
import { writeFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { glyphHeight, glyphPixel, glyphWidth } from './font.js';

export type Colour = readonly [red: number, green: number, blue: number];
const ink: Colour = [40, 40, 40];

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

  text(text: string, left: number, y: number): void {
    const scale = 2;
    [...text].forEach((character, i) => {
      for (let row = 0; row < glyphHeight; row++) {
        for (let column = 0; column < glyphWidth; column++) {
          if (!glyphPixel(character, column, row)) continue;
          const at = left + (i * glyphWidth + column) * scale;
          this.rectangle(at, y + row * scale, scale, scale, ink);
        }
      }
    });
  }

  save(path: string): void {
    writeFileSync(path, PNG.sync.write(this.#png));
  }
}
