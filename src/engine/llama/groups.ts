import { INVARIANT_TOKENS } from "./batch.ts";

/** Some tokens of one share of a pass: those at [from, from + count) of the share. */
export interface GroupMember {
  readonly share: number;
  readonly from: number;
  readonly count: number;
  /** one more token comes after them, which is void */
  readonly padded: boolean;
}

/**
 * Cuts a pass into groups in which every sequence has equally many tokens, as recurrent layers want it, and at most 63
 * in all. llama.cpp would do it by itself; here it is known what is alone.
 * @param counts tokens of each share, 1 or more
 * @param paired no sequence has one token only in any group: a share of one token is padded
 * @example
 * import { equalGroups } from "./groups.ts";
 *
 * equalGroups([5, 3], false); // 3 and 3, then 2 of the first
 */
export function equalGroups(counts: readonly number[], paired: boolean): GroupMember[][] {
  const left = counts.map((count, share) => ({
    ...{ share, from: 0, end: count },
    count: paired ? Math.max(2, count) : count,
  }));
  const groups: GroupMember[][] = [];
  while (left.length > 0) {
    // With room for three of each a pair is always possible.
    const members = left.slice(0, Math.floor(INVARIANT_TOKENS / (paired ? 3 : 1)));
    const width = widthOf(members, paired);
    const group = members.filter(({ count }) => !paired || count - width !== 1);
    groups.push(
      group.map(({ share, from, end }) => {
        const taken = Math.min(width, end - from);
        return { share, from, count: taken, padded: taken < width };
      }),
    );
    for (const member of group) {
      member.from += width;
      member.count -= width;
    }
    for (let i = left.length - 1; i >= 0; i--) if (left[i]!.count === 0) left.splice(i, 1);
  }
  return groups;
}

/** Tokens of each sequence in the next group. */
function widthOf(members: readonly { readonly count: number }[], paired: boolean): number {
  const shortest = Math.min(...members.map(({ count }) => count));
  const room = Math.floor(INVARIANT_TOKENS / members.length);
  if (shortest <= room) return shortest;
  return paired && shortest - room === 1 ? room - 1 : room;
}

/** The shares one after the other, as many tokens at a time as a run has room for. */
export function wholeRuns(counts: readonly number[], most: number): GroupMember[][] {
  const runs: GroupMember[][] = [];
  let room = 0;
  for (const [share, tokens] of counts.entries()) {
    for (let from = 0; from < tokens; ) {
      if (room === 0) {
        runs.push([]);
        room = most;
      }
      const count = Math.min(room, tokens - from);
      runs.at(-1)!.push({ share, from, count, padded: false });
      from += count;
      room -= count;
    }
  }
  return runs;
}
