/** What a drafter can go on from. */
export interface DrafterReach {
  /** most tokens that it can look back on */
  readonly contextTokens: number;
  /** ids below this are its own; it cannot go on after another */
  readonly vocabularySize: number;
}

/** Whether a drafter can go on with one sequence. */
export class Grasp {
  private readonly reach: DrafterReach;
  /** a committed token is none of the drafter's: it cannot go on after that */
  private strange: boolean;

  constructor(reach: DrafterReach, prompt: Int32Array) {
    this.reach = reach;
    this.strange = prompt.some((token) => token >= reach.vocabularySize);
  }

  committed(token: number): void {
    if (token >= this.reach.vocabularySize) this.strange = true;
  }

  /** @param length of the sequence that it would look back on */
  holds(length: number): boolean {
    return !this.strange && length <= this.reach.contextTokens;
  }
}
