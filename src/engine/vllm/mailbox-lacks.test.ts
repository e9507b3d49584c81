import { expect, it } from "vitest";
import type { Ready } from "./mailbox-frames.ts";
import { mailboxesLack } from "./mailbox-lacks.ts";

const ready: Ready = {
  ...{ vocabularySize: 100, stepDrafts: 8, rank: 0, ranks: 1, key: 5n },
  ...{ offerTokens: 64, sessions: 10, binds: true },
};
const box = (name: string, given: Partial<Ready> | null) => ({
  name,
  ready: given === null ? null : { ...ready, ...given },
});

it("mailboxes that fit their server lack nothing, also while some are away", () => {
  expect(mailboxesLack("s", [], 100)).toEqual([]);
  expect(mailboxesLack("s", [box("a", {})], null)).toEqual([]);
  const ranks = 2;
  expect(mailboxesLack("s", [box("a", { ranks }), box("b", { rank: 1, ranks })], 100)).toEqual([]);
  expect(mailboxesLack("s", [box("a", { ranks }), box("b", null)], 100)).toEqual([]);
});

it("too few mailboxes, two of one process and one of another model are told with what to do", () => {
  const ranks = 4;
  expect(mailboxesLack("s", [box("a", { ranks })], 100)).toEqual([
    "s has 4 engine processes and --mailbox the address of 1: most runs get no drafts; give all of them, with commas",
  ]);
  expect(mailboxesLack("s", [box("a", { ranks: 2 }), box("b", { ranks: 2 })], 100)).toEqual([
    "the mailboxes a and b are those of one engine process (rank 0) of s; give --mailbox the address of each process",
  ]);
  expect(mailboxesLack("s", [box("a", { vocabularySize: 99 })], 100)).toEqual([
    "error: the mailbox a is of a model of 99 tokens, and that of s has 100; give --mailbox the address that this server's plugin tells",
  ]);
});
