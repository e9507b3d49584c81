/** Past this no vocabulary has any; the model's own bound is the edge's to check. */
const MOST_TOKEN_ID = 2 ** 31 - 1;

/**
 * The first that is no token id; null: all are, and there are no more than `most`. A check of ours: zod takes a
 * microsecond for each.
 */
export function wrongTokenId(list: readonly unknown[], most: number): number | null {
  const count = list.length;
  if (count > most) return most;
  for (let i = 0; i < count; i++) {
    const id = list[i];
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) > MOST_TOKEN_ID) return i;
  }
  return null;
}
