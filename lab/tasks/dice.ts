import { Purpose, type Seed, toSeed, uniform } from "../../src/sampling/random.ts";
import { assert } from "../../src/util/assert.ts";

/** Chance for one task: a function of a seed and the task's number, the same on every platform. */
export class Dice {
  private readonly seed: Seed;
  private readonly task: number;
  private rolls = 0;

  /** @param task number of the task, from 0 to 2^32 - 1 */
  constructor(seed: number, task: number) {
    this.seed = toSeed(seed);
    this.task = task;
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    assert(bound >= 1, "a die has a side");
    return Math.floor(uniform(this.seed, Purpose.draft, this.task, 0, this.rolls++) * bound);
  }

  /** A whole number in [least, most], both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(probability: number): boolean {
    return uniform(this.seed, Purpose.draft, this.task, 0, this.rolls++) < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** `count` different ones. */
  some<T>(from: readonly T[], count: number): T[] {
    assert(count <= from.length, "there are not that many");
    const left = [...from];
    return Array.from({ length: count }, () => left.splice(this.below(left.length), 1)[0]!);
  }
}
