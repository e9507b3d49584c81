/** Which of several clouds with one target the next link leads to. Pure; a replica is its place in a list. */
export class Replicas {
  /** since its last finished answer, by place */
  private readonly failures = new Map<number, number>();
  /** they serve another target */
  private readonly excluded = new Set<number>();
  private last: number;

  /** @param first where the first link leads */
  constructor(first: number) {
    this.last = first;
  }

  /**
   * The one that failed least; of equals the next in the list after the last.
   * @param count of replicas, which may grow
   * @returns null: none is left
   */
  next(count: number): number | null {
    let best: number | null = null;
    for (let step = 1; step <= count; step++) {
      const place = (this.last + step) % count;
      if (this.excluded.has(place)) continue;
      if (best === null || this.failed(place) < this.failed(best)) best = place;
    }
    if (best !== null) this.last = best;
    return best;
  }

  /** Its link was lost or not made, or it said that it goes away. */
  lost(place: number): void {
    this.failures.set(place, this.failed(place) + 1);
  }

  /** It has finished an answer. */
  served(place: number): void {
    this.failures.delete(place);
  }

  /** It serves another target: no link leads there any more. @returns whether another is left */
  exclude(place: number, count: number): boolean {
    this.excluded.add(place);
    return this.excluded.size < count;
  }

  private failed(place: number): number {
    return this.failures.get(place) ?? 0;
  }
}
