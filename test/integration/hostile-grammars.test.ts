import { expect, it } from "vitest";
import { attack } from "../grammars/attack.ts";
import { HOSTILE } from "../grammars/cases.ts";

/** Grammars that are made to cost much, sent to a real cloud by an edge that checks nothing. */

it("hostile grammars cost their own session, and no other edge of the cloud anything; `npm run attack:grammars` has times", async () => {
  const { attacks, texts, exit, afterwards } = await attack();
  expect(Object.keys(attacks)).toEqual(Object.keys(HOSTILE));
  expect(Object.keys(attacks).length).toBeGreaterThanOrEqual(12);
  const allowed = /^(done, (end|length)|(bad_setting|grammar_limit|bad_frame): .{10,})/;
  for (const [name, { end }] of Object.entries(attacks)) expect(end, name).toMatch(allowed);
  const refused = Object.values(attacks).filter(({ end }) => !end.startsWith("done"));
  expect(refused.length).toBeGreaterThan(8);
  for (const [i, text] of texts.during.entries()) expect(text).toBe(texts.before[i % texts.before.length]);
  expect(texts.before.every((text) => text.length > 5)).toBe(true);
  expect(exit.status).toBe(0);
  expect(afterwards).toBe(texts.before[0]);
});
