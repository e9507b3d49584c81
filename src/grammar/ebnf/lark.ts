import { SettingError } from "../../util/errors.ts";
import { conflicts } from "./conflicts.ts";
import { WithoutEmpty } from "./empty.ts";
import { type LexemeRules, Parts } from "./lexemes.ts";
import { emptyRules, pruned } from "./prune.ts";
import { readEbnf } from "./read.ts";
import { unrolled } from "./unroll.ts";
import { writeLark } from "./write.ts";

/** Steps of comparing lexemes, some 10 ms in all; past them only characters are lexemes, which is right, and slower. */
const MOST_STEPS = 300_000;
const MOST_ROUNDS = 20;
/** So that neither this nor what llguidance makes of it takes longer than 50 ms. */
const MOST_UNITS = 64 * 1024;
const MOST_RULES = 500;

/**
 * EBNF, as llama.cpp (GBNF) and xgrammar read it, in llguidance's dialect of Lark: the same texts.
 * @throws SettingError `grammar`: what is wrong, on which line
 */
export function larkOfEbnf(source: string): string {
  if (source.length > MOST_UNITS) throw tooLarge(`${MOST_UNITS} characters`);
  const read = readEbnf(source);
  if (read.bodies.length > MOST_RULES) throw tooLarge(`${MOST_RULES} rules`);
  const rules = pruned(read);
  const empty = emptyRules(rules);
  const parts = new Parts(unrolled(rules), empty);
  const without = new WithoutEmpty(parts.rules.bodies, empty);
  return writeLark(parts.whole ? parts.lexemes() : lexemes(parts, without), without);
}

function tooLarge(most: string): SettingError {
  return new SettingError("grammar", `an EBNF grammar has at most ${most}; make it smaller`);
}

/** Lexemes as long as may be: what the longest match would read wrongly is taken apart, until nothing is. */
function lexemes(parts: Parts, without: WithoutEmpty): LexemeRules {
  const budget = { steps: MOST_STEPS };
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const rules = parts.lexemes();
    const wrong = conflicts(rules, parts.empty, (rule) => without.body(rule), budget);
    if (wrong?.length === 0) return rules;
    if (wrong === null) break;
    for (const lexeme of wrong) parts.split(lexeme);
  }
  parts.splitAll();
  return parts.lexemes();
}
