import type { Ready } from "./mailbox-frames.ts";

/**
 * What does not fit of the mailboxes that a server was given, as far as they are connected; lines for the operator.
 * @param vocabularySize of the server's model; null: not known yet
 */
export function mailboxesLack(
  server: string,
  mailboxes: readonly { readonly name: string; readonly ready: Ready | null }[],
  vocabularySize: number | null,
): string[] {
  const lines: string[] = [];
  const nameOf = new Map<number, string>();
  let ranks = 0;
  for (const { name, ready } of mailboxes) {
    if (!ready) continue;
    ranks = Math.max(ranks, ready.ranks);
    const other = nameOf.get(ready.rank);
    if (other === undefined) nameOf.set(ready.rank, name);
    else {
      lines.push(
        `the mailboxes ${other} and ${name} are those of one engine process (rank ${ready.rank}) of ${server}; give --mailbox the address of each process`,
      );
    }
    if (vocabularySize !== null && ready.vocabularySize !== vocabularySize) {
      lines.push(
        `error: the mailbox ${name} is of a model of ${ready.vocabularySize} tokens, and that of ${server} has ${vocabularySize}; give --mailbox the address that this server's plugin tells`,
      );
    }
  }
  if (mailboxes.length < ranks) {
    lines.push(
      `${server} has ${ranks} engine processes and --mailbox the address of ${mailboxes.length}: most runs get no drafts; give all of them, with commas`,
    );
  }
  return lines;
}
