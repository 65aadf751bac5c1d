// Adam (Kingma and Ba, 2015) on plain arrays: the network has few parameters.
import type { Weights } from './model.js';

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

export class Adam {
  #step = 0;
  #weights: Weights;
  #means: Record<string, Float64Array> = {};
  #squares: Record<string, Float64Array> = {};

  constructor(weights: Weights) {
    this.#weights = weights;
    for (const [name, { data }] of Object.entries(weights)) {
      this.#means[name] = new Float64Array(data.length);
      this.#squares[name] = new Float64Array(data.length);
    }
  }

  /** Changes the weights in place. `gradient` gives dL/dw of the parameter with that name. */
  update(gradient: (name: string) => ArrayLike<number>, learningRate: number): void {
    this.#step += 1;
    const meanScale = 1 - beta1 ** this.#step;
    const squareScale = 1 - beta2 ** this.#step;
    for (const [name, { data }] of Object.entries(this.#weights)) {
      const g = gradient(name);
      const mean = this.#means[name];
      const square = this.#squares[name];
      for (let i = 0; i < data.length; i++) {
        mean[i] = beta1 * mean[i] + (1 - beta1) * g[i];
        square[i] = beta2 * square[i] + (1 - beta2) * g[i] * g[i];
        const size = Math.sqrt(square[i] / squareScale) + epsilon;
        data[i] -= (learningRate * mean[i]) / meanScale / size;
      }
    }
  }
}
