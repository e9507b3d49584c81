import { afterAll, describe, expect, it } from "vitest";
import type { GrammarMatcher } from "../../src/grammar/grammar.ts";
import type { LlguidanceGrammars } from "../../src/grammar/llguidance/grammars.ts";
import { messageOf, PicoSpecError } from "../../src/util/errors.ts";
import { byteGrammars, libraryAlone } from "../support/byte-grammars.ts";
import { accepts } from "./bytes.ts";
import { SUITE_DRAFTS, type SuiteCase, suiteCases } from "./suite.ts";
import { writings } from "./texts.ts";

/** The JSON Schema Test Suite by the way that answers go: no instance that is invalid may be written. */

interface Figures {
  schemas: number;
  readonly refused: string[];
  valid: number;
  readonly validRefused: string[];
  /** valid, and written in another order of names than the schema's */
  readonly otherOrder: string[];
  invalid: number;
  readonly invalidAccepted: string[];
}

const LIMITS = {
  "draft2020-12": { refused: 213, validRefused: 14 },
  draft7: { refused: 213, validRefused: 14 },
};

const grammars = await byteGrammars();

describe.each(SUITE_DRAFTS)("the JSON Schema Test Suite, %s", (draft) => {
  let figures: Figures | undefined;

  it("has no invalid instance that is accepted", { timeout: 300_000 }, async () => {
    figures = judged(await suiteCases(draft), draft, (source) =>
      grammars.matcher({ kind: "json_schema", source }),
    );
    expect(figures.schemas).toBeGreaterThan(200);
    expect(figures.invalid).toBeGreaterThan(200);
    expect(figures.invalidAccepted).toEqual([]);
  });

  it("refuses few schemas, each for a keyword and its place", () => {
    expect(figures!.refused.length).toBeLessThanOrEqual(LIMITS[draft].refused);
    expect(
      figures!.refused.filter(
        (line) => !/: .*(#|nothing fits|there is no draft|Unsatisfiable|patternProperty)/.test(line),
      ),
    ).toEqual([]);
  });

  it("accepts nearly all valid instances of the schemas that it takes", () => {
    expect(figures!.validRefused.length).toBeLessThanOrEqual(LIMITS[draft].validRefused);
    expect(figures!.valid).toBeGreaterThan(200);
  });

  it("control: a schema whose keywords are dropped accepts invalid instances", {
    timeout: 300_000,
  }, async () => {
    const loose = judged(await suiteCases(draft), draft, (source) => lenient(grammars, source));
    expect(loose.invalidAccepted.length).toBeGreaterThan(20);
  });

  afterAll(() => {
    if (!figures) return;
    const { schemas, refused, valid, validRefused, otherOrder, invalid, invalidAccepted } = figures;
    console.log(
      `${draft}: ${schemas} schemas, ${refused.length} refused; ${valid} valid instances, ${validRefused.length} refused, ` +
        `${otherOrder.length} only in another order; ${invalid} invalid, ${invalidAccepted.length} accepted`,
    );
    if (process.env.SUITE_DETAILS)
      console.log([...refused, "--", ...validRefused, "--", ...otherOrder].join("\n"));
  });
});

function judged(
  cases: readonly SuiteCase[],
  draft: string,
  matcherOf: (source: string) => GrammarMatcher,
): Figures {
  const figures: Figures = {
    schemas: 0,
    refused: [],
    valid: 0,
    validRefused: [],
    otherOrder: [],
    invalid: 0,
    invalidAccepted: [],
  };
  for (const one of cases) {
    figures.schemas++;
    const name = `${one.file}: ${one.description}`;
    let matcher: GrammarMatcher;
    try {
      matcher = matcherOf(JSON.stringify(ofDraft(one.schema, draft)));
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      figures.refused.push(`${name}: ${messageOf(error)}`);
      continue;
    }
    judge(one, name, matcher, figures);
    matcher.close();
  }
  return figures;
}

function judge(one: SuiteCase, name: string, matcher: GrammarMatcher, figures: Figures): void {
  for (const { data, valid, description } of one.tests) {
    const line = `${name}: ${description}`;
    const texts = writings(data);
    const accepted = texts.findIndex((text) => accepts(matcher, text));
    if (valid) {
      figures.valid++;
      if (accepted < 0) figures.validRefused.push(line);
      if (accepted > 0) figures.otherOrder.push(line);
    } else {
      figures.invalid++;
      if (accepted >= 0) figures.invalidAccepted.push(`${line}: ${texts[accepted]}`);
    }
  }
}

/** The suite's older drafts are told by their folder alone. */
function ofDraft(schema: unknown, draft: string): unknown {
  if (draft !== "draft7" || typeof schema !== "object" || schema === null || "$schema" in schema)
    return schema;
  return { $schema: "http://json-schema.org/draft-07/schema#", ...schema };
}

/** As if schemas were given to llguidance as they are, with its option to ignore what it does not know. */
function lenient(grammars: LlguidanceGrammars, source: string): GrammarMatcher {
  const schema = JSON.parse(source) as unknown;
  const style = { lenient: true, whitespace_flexible: false, item_separator: ", ", key_separator: ": " };
  const text = typeof schema === "object" ? JSON.stringify({ ...schema, "x-guidance": style }) : source;
  return libraryAlone(grammars, text);
}
