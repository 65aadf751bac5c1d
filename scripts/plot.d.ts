// What the functions of plot.js take and give.
export type Colour = 'text' | 'quiet' | 'line' | 'one' | 'two' | 'three';

interface Page {
  readonly title?: string;
  readonly subtitle?: string;
  /** Below the chart: where its figures come from. */
  readonly note?: string;
}

export interface Axis {
  readonly label?: string;
  /** Default 0. */
  readonly from?: number;
  readonly to: number;
  readonly logarithmic?: boolean;
  /** The numbers beside the axis; `roundMarks(to)` unless given. */
  readonly marks?: readonly number[];
  readonly format?: (value: number) => string;
}

export interface Curve {
  /** In the legend; none: not there. */
  readonly name?: string;
  readonly colour: Colour;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly dots?: boolean;
  readonly dash?: string;
  readonly width?: number;
  readonly opacity?: number;
}

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly curves: readonly Curve[];
}

export interface BarRow {
  readonly label: string;
  readonly value: { readonly q1: number; readonly median: number; readonly q3: number };
  readonly colour: Colour;
  /** Places on the same axis. */
  readonly marks?: readonly number[];
}

export interface BarSection {
  readonly title: string;
  readonly rows: readonly BarRow[];
}

export function lineChart(
  chart: Page & {
    readonly panels: readonly Panel[];
    readonly columns?: number;
    readonly panelSize: readonly [width: number, height: number];
  },
): string;

export function barChart(
  chart: Page & {
    readonly sections: readonly BarSection[];
    readonly width: number;
    readonly labelWidth: number;
    readonly logarithmic?: boolean;
  },
): string;

export function roundMarks(most: number): number[];
