// Plain nested arrays, as the transcriptions of other libraries read them.

/** [N][C][S], or [N][S][C] where a library keeps its classes last. */
export type Nested = number[][][];

export const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

export const transposed = (x: Nested): Nested =>
  x.map((rows) => (rows[0] as number[]).map((_, j) => rows.map((row) => row[j] as number)));
