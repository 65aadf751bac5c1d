// Numbers that sum up the scores of many samples.

/** What a report says of the scores of one class over the samples in which it is counted. */
export interface ReportSummary {
  /** How many there are. */
  readonly count: number;
  readonly mean: number;
  /** The standard deviation, with count - 1 as its divisor; NaN for fewer than two. */
  readonly sd: number;
  readonly min: number;
  /** The quartiles are interpolated between two scores, as NumPy does by default. */
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
  readonly max: number;
}

/** NaN wherever there are no scores. */
export function summarize(scores: readonly number[]): ReportSummary {
  const sorted = scores.filter((score) => !Number.isNaN(score)).sort((a, b) => a - b);
  const count = sorted.length;
  const mean = sorted.reduce((sum, score) => sum + score, 0) / count;
  const squares = sorted.reduce((sum, score) => sum + (score - mean) ** 2, 0);
  const at = (fraction: number) => quantile(sorted, fraction);
  const sd = count > 1 ? Math.sqrt(squares / (count - 1)) : Number.NaN;
  return { count, mean, sd, min: at(0), q1: at(0.25), median: at(0.5), q3: at(0.75), max: at(1) };
}

function quantile(sorted: readonly number[], fraction: number): number {
  if (sorted.length === 0) return Number.NaN;
  const position = fraction * (sorted.length - 1);
  const below = Math.floor(position);
  const lower = sorted[below] as number;
  const upper = sorted[Math.ceil(position)] as number;
  return lower === upper ? lower : lower + (upper - lower) * (position - below);
}
