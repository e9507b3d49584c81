import { PicoSpecError } from "../../src/util/errors.ts";
import { decimalsOf, numberText } from "./text.ts";

/** Domain and ticks of an axis. Plot has its own, but the layout of the margins needs the labels first. */

export interface Axis {
  readonly log: boolean;
  readonly domain: readonly [number, number];
  readonly ticks: readonly number[];
  readonly label: (value: number) => string;
}

export interface Spacing {
  readonly lengthPx: number;
  /** how much of the axis a label takes, its gap included */
  readonly labelPx: (label: string) => number;
}

export interface AxisOptions extends Spacing {
  readonly log: boolean;
  /** values that were chosen, rather than measured: few round ones are the ticks, and the domain is theirs */
  readonly chosen: boolean;
  readonly zero: boolean;
}

const MOST_LEVELS = 10;
const MOST_TICKS = 8;
const MANTISSAS = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]];

/** An axis over the finite ones of the values; on a log axis all of them are positive. */
export function axisOver(values: readonly number[], options: AxisOptions): Axis {
  const finite = [...new Set(values.filter(Number.isFinite))].sort((a, b) => a - b);
  if (options.log) return logAxis(finite, options);
  if (options.zero) finite.push(0);
  return linearAxis(finite, options);
}

/** Cells of equal width, one a level, at [0, 1), [1, 2) and so on; labelled in their middle, or every n-th. */
export function levelAxis(levels: readonly number[], options: Spacing): Axis {
  const decimals = decimalsOf(levels, 4);
  const label = (middle: number) => numberText(levels[Math.floor(middle)]!, decimals);
  const axis: Axis = { log: false, domain: [0, levels.length], ticks: [], label };
  for (let every = 1; ; every++) {
    const shown = levels.map((_, index) => index + 0.5).filter((_, index) => index % every === 0);
    if (every >= levels.length || fits(axis, shown, options)) return { ...axis, ticks: shown };
  }
}

/** What a logarithmic axis cannot show is refused rather than omitted. */
export function checkLog(values: readonly number[], what: string): void {
  const bad = values.find((value) => Number.isFinite(value) && value <= 0);
  if (bad === undefined) return;
  const message = `${what} has the value ${bad}, which a logarithmic axis cannot show: use a linear one`;
  throw new PicoSpecError("bad_chart", message);
}

/** Where a value is on an axis that is drawn from one px to another. */
export function pixel(
  { log, domain: [low, high] }: Axis,
  value: number,
  [from, to]: readonly [number, number],
): number {
  const part = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return from + part * (to - from);
}

function linearAxis(finite: readonly number[], options: AxisOptions): Axis {
  const [least, most] = [Math.min(...finite), Math.max(...finite)];
  const spread = most > least ? 0 : Math.abs(most) / 2 || 1;
  const [low, high] = [least - (options.zero && least === 0 ? 0 : spread), most + spread];
  const exact: Axis = {
    log: false,
    domain: [low, high],
    ticks: levels(finite, options),
    label: (value) => numberText(value),
  };
  if (exact.ticks.length > 0 && fits(exact, exact.ticks, options)) return exact;
  for (let count = Math.max(2, Math.min(MOST_TICKS, Math.floor(options.lengthPx / 45))); ; count--) {
    const { step, decimals } = niceStep((high - low) / count);
    const domain: [number, number] = options.chosen
      ? [low, high]
      : [step * Math.floor(low / step + 1e-9), step * Math.ceil(high / step - 1e-9)];
    const ticks = multiples(step, domain);
    const axis: Axis = { log: false, domain, ticks, label: (value) => numberText(value, decimals) };
    if (count <= 2 || fits(axis, ticks, options)) return axis;
  }
}

function logAxis(finite: readonly number[], options: AxisOptions): Axis {
  const [least, most] = [finite[0]!, finite.at(-1)!];
  const margin = most > least ? (most / least) ** 0.04 : 2;
  const domain: [number, number] =
    options.chosen && most > least ? [least, most] : [least / margin, most * margin];
  const axis: Axis = { log: true, domain, ticks: [], label: (value) => numberText(value) };
  const { step } = niceStep((domain[1] - domain[0]) / 4);
  const choices = [...MANTISSAS.map((mantissas) => decades(mantissas, domain)), multiples(step, domain)];
  const enough = choices.filter((ticks) => ticks.length >= 2 && ticks.length <= MOST_TICKS);
  const chosen = levels(finite, options);
  if (chosen.length > 0) enough.unshift(chosen);
  const ticks =
    enough.find((each) => fits(axis, each, options)) ?? greedy(axis, decades([1], domain), options);
  return { ...axis, ticks };
}

/** What an experiment was run at, where that is little and round. */
function levels(finite: readonly number[], { chosen }: AxisOptions): number[] {
  const round =
    chosen && finite.length <= MOST_LEVELS && finite.every((each) => Number(each.toPrecision(3)) === each);
  return round ? [...finite] : [];
}

/** The least round number that is at least the value. */
export function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const round = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((each) => each * power >= value * (1 - 1e-9));
  return (round ?? 10) * power;
}

/** The smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `step`, and its decimals. */
function niceStep(step: number): { step: number; decimals: number } {
  const exponent = Math.floor(Math.log10(step));
  const mantissa = [1, 2, 2.5, 5, 10].find((each) => each * 10 ** exponent >= step * (1 - 1e-9)) ?? 10;
  const decimals = Math.max(0, -exponent + (mantissa === 2.5 ? 1 : 0) - (mantissa === 10 ? 1 : 0));
  return { step: Number((mantissa * 10 ** exponent).toPrecision(3)), decimals: Math.min(12, decimals) };
}

function multiples(step: number, [low, high]: readonly [number, number]): number[] {
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function decades(mantissas: readonly number[], [low, high]: readonly [number, number]): number[] {
  const ticks: number[] = [];
  for (let exponent = Math.floor(Math.log10(low)); exponent <= Math.log10(high); exponent++) {
    for (const mantissa of mantissas) ticks.push(Number((mantissa * 10 ** exponent).toPrecision(3)));
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}

function fits(axis: Axis, ticks: readonly number[], options: Spacing): boolean {
  return greedy(axis, ticks, options).length === ticks.length;
}

/** The ticks from the first on, without those whose label would touch the one before. */
function greedy(axis: Axis, ticks: readonly number[], { lengthPx, labelPx }: Spacing): number[] {
  let end = Number.NEGATIVE_INFINITY;
  return ticks.filter((tick) => {
    const middle = pixel(axis, tick, [0, lengthPx]);
    const half = labelPx(axis.label(tick)) / 2;
    if (middle - half < end) return false;
    end = middle + half;
    return true;
  });
}
