import { AssertionError } from "../../src/util/assert.ts";

/** What has to hold, whatever happens. */
export type Invariant =
  /** a decided token is told once, in order, and never changes */
  | "order"
  /** the text is the target's */
  | "text"
  /** both sides have decided the same */
  | "agreement"
  /** what a model's memory holds is what its owner believes */
  | "memory"
  /** nothing grows past its bound */
  | "bounds"
  /** a session ends, once, and for a reason */
  | "outcome"
  /** an owner finds nothing wrong with itself */
  | "integrity"
  /** nothing is left behind */
  | "rest";

export class Broken extends Error {
  override readonly name = "Broken";
  readonly invariant: Invariant;

  constructor(invariant: Invariant, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

/** Has an owner check itself. */
export function holdIntegrity(name: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (error instanceof AssertionError) throw new Broken("integrity", `${name}: ${error.message}`);
    throw error;
  }
}

export function hold(condition: boolean, invariant: Invariant, message: () => string): void {
  if (!condition) throw new Broken(invariant, message());
}
