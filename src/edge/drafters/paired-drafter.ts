import type { Drafter } from "./drafter.ts";

/**
 * A drafter for a target of another vocabulary: ids that are different texts in the two are never drafted. Several
 * targets may share the drafter behind it, each with ids of its own.
 * @param barred ids, Int32Array[n]; see `judgePair`
 */
export function pairedDrafter(drafter: Drafter, barred: Int32Array): Drafter {
  return {
    get reach() {
      return drafter.reach;
    },
    get alwaysProposes() {
      return drafter.alwaysProposes;
    },
    newOwner: () => drafter.newOwner(),
    propose: (request) => drafter.propose({ ...request, barred }),
    interrupt: (owner, length) => drafter.interrupt(owner, length),
    checkIntegrity: (open) => drafter.checkIntegrity(open),
  };
}
