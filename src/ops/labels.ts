/**
 * Values of a label. Each is a time series for ever, so what comes from outside is bounded, in number and in length: past
 * the bound all others are one.
 */
export class LabelValues {
  private readonly known = new Set<string>();
  private readonly most: number;

  constructor(most: number) {
    this.most = most;
  }

  /** The value as a label may have it; "other" past the bound. */
  of(value: string): string {
    if (this.known.has(value)) return value;
    if (this.known.size >= this.most || !FITS.test(value)) return "other";
    this.known.add(value);
    return value;
  }
}

/** Printable ASCII but for quotes and backslashes: what no reader of the format gets wrong. */
const FITS = /^(?:(?!["\\])[\x20-\x7e]){1,64}$/;

/** Counts by one label. */
export class Tally {
  private readonly counts = new Map<string, number>();
  private readonly values: LabelValues;

  constructor(mostValues: number) {
    this.values = new LabelValues(mostValues);
  }

  add(value: string, count = 1): void {
    const label = this.values.of(value);
    this.counts.set(label, (this.counts.get(label) ?? 0) + count);
  }

  entries(): Iterable<readonly [value: string, count: number]> {
    return this.counts;
  }
}
