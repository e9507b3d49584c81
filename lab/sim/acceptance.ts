import { Purpose, type Seed, uniform } from "../../src/sampling/random.ts";

/** What decides whether drafts are accepted, in a session: chance, or what a real pair did. */
export interface AcceptanceModel {
  /** whether a draft at this place of the answer, made in the right context, is accepted */
  accepts(place: number): boolean;
}

/**
 * Chance. Each place has a number of its own, so that all policies under one seed meet the same places.
 *
 * With a memory r in [0, 1) places form a two-state chain that keeps the mean: after an accepted place the next is
 * accepted with probability a + r (1 - a), after a rejected one with a (1 - r). Its lag-1 correlation is r.
 */
export class ChanceAcceptance implements AcceptanceModel {
  private readonly seed: Seed;
  private readonly acceptance: number;
  private readonly memory: number;
  /** for each place: 1 accepted, 0 not */
  private flags = new Uint8Array(512);
  private known = 0;

  constructor(seed: Seed, acceptance: number, memory: number) {
    this.seed = seed;
    this.acceptance = acceptance;
    this.memory = memory;
  }

  accepts(place: number): boolean {
    while (this.known <= place) this.extend();
    return this.flags[place] === 1;
  }

  private extend(): void {
    if (this.known === this.flags.length) {
      const grown = new Uint8Array(2 * this.known);
      grown.set(this.flags);
      this.flags = grown;
    }
    const { acceptance, memory, known } = this;
    const before = known === 0 ? -1 : this.flags[known - 1];
    const p =
      before === 1
        ? acceptance + memory * (1 - acceptance)
        : before === 0
          ? acceptance * (1 - memory)
          : acceptance;
    this.flags[known] = uniform(this.seed, Purpose.accept, known, 0, 0) < p ? 1 : 0;
    this.known++;
  }
}

/** What a run really did, place by place; chance where it was not judged. */
export class TracedAcceptance implements AcceptanceModel {
  private readonly trace: ArrayLike<number>;
  private readonly otherwise: AcceptanceModel;

  /** @param trace for each place of the answer: 1 accepted, 0 not, anything else unknown */
  constructor(trace: ArrayLike<number>, otherwise: AcceptanceModel) {
    this.trace = trace;
    this.otherwise = otherwise;
  }

  accepts(place: number): boolean {
    const flag = this.trace[place];
    return flag === 1 ? true : flag === 0 ? false : this.otherwise.accepts(place);
  }
}
