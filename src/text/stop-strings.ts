/** Text that ends an answer, however tokens split it. */

export interface StoppedText {
  /** text that is certain to belong to the answer */
  readonly text: string;
  /** a stop string came: nothing of it is in `text`, and nothing follows */
  readonly stopped: boolean;
}

/** Holds back what may turn out to be the beginning of a stop string: never more than the longest of them. */
export class StopStrings {
  private readonly stops: readonly string[];
  private held = "";
  private stopped = false;
  private cameFirst: string | null = null;

  /** @param stops not empty strings */
  constructor(stops: readonly string[]) {
    this.stops = stops.filter((stop) => stop !== "");
  }

  push(text: string): StoppedText {
    if (this.stopped) return { text: "", stopped: true };
    const all = this.held + text;
    // The first that begins counts; of those that begin together any does.
    const at = Math.min(...this.stops.map((stop) => indexOrInfinity(all, stop)));
    if (at < Number.POSITIVE_INFINITY) {
      this.stopped = true;
      this.cameFirst = this.stops.find((stop) => all.startsWith(stop, at))!;
      this.held = "";
      return { text: all.slice(0, at), stopped: true };
    }
    const keep = Math.max(0, ...this.stops.map((stop) => overlap(all, stop)));
    this.held = all.slice(all.length - keep);
    return { text: all.slice(0, all.length - keep), stopped: false };
  }

  /** The stop string that came; null: none did. */
  get came(): string | null {
    return this.cameFirst;
  }

  /** What was held back, when nothing follows. */
  end(): string {
    const rest = this.stopped ? "" : this.held;
    this.held = "";
    return rest;
  }
}

function indexOrInfinity(text: string, stop: string): number {
  const index = text.indexOf(stop);
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}

/** Length of the longest end of the text that begins the stop string and is not all of it. */
export function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (stop.startsWith(text.slice(text.length - length))) return length;
  }
  return 0;
}
