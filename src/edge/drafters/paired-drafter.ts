import type { DrafterReach } from "../core/reach.ts";
import type { Drafter, DraftRequest, OpenSequences } from "./drafter.ts";

/**
 * A drafter for a target of another vocabulary: ids that are different texts in the two are never drafted. Several
 * targets may share the drafter behind it, each with ids of its own.
 */
export class PairedDrafter implements Drafter {
  private readonly drafter: Drafter;
  private readonly barred: Int32Array;

  /** @param barred ids, Int32Array[n]; see `judgePair` */
  constructor(drafter: Drafter, barred: Int32Array) {
    this.drafter = drafter;
    this.barred = barred;
  }

  get reach(): DrafterReach {
    return this.drafter.reach;
  }

  get alwaysProposes(): boolean {
    return this.drafter.alwaysProposes;
  }

  newOwner(): number {
    return this.drafter.newOwner();
  }

  propose(request: DraftRequest): void {
    this.drafter.propose({ ...request, barred: this.barred });
  }

  interrupt(owner: number, length: number): void {
    this.drafter.interrupt(owner, length);
  }

  checkIntegrity(open: OpenSequences): void {
    this.drafter.checkIntegrity(open);
  }
}
