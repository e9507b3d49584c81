import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { ByteTokenizer, byteGrammars, END } from "../../../test/support/byte-grammars.ts";
import { ScriptTokenizer } from "../../../test/support/scripted.ts";
import type { Grammar } from "../../decoding/grammar.ts";
import { inTokenSet } from "../../sampling/sampler.ts";
import { SettingError } from "../../util/errors.ts";
import type { GrammarMatcher } from "../grammar.ts";
import { larkWithMarkers } from "../markers.ts";
import { GRAMMAR_LIMITS, type LlguidanceGrammars } from "./grammars.ts";
import { GrammarLibrary } from "./library.ts";

/** A token a byte, and a few longer ones, of which one is several characters of two bytes. */
const tokenizer = new ByteTokenizer(['{"', '": ', '", "', "true", "12", "éé", "name"]);
const ids = (text: string) => tokenizer.bytes(text);
const texts = (set: Int32Array | null) =>
  set &&
  Array.from({ length: tokenizer.vocabularySize }, (_, id) => id).flatMap((id) => {
    if (!inTokenSet(set, id)) return [];
    return [id === END ? "END" : new TextDecoder().decode(tokenizer.piece(id))];
  });
const ask = (matcher: GrammarMatcher, text: string | number[]) => {
  const tokens = typeof text === "string" ? ids(text) : text;
  return texts(matcher.allowed(tokens, 0, tokens.length));
};

const SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, old: { type: "boolean" } },
  required: ["name", "old"],
  additionalProperties: false,
};

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars(tokenizer);
});
const lark = (source: string, of = grammars) => of.matcher({ kind: "lark", source });
const schema = (of = grammars) => of.matcher({ kind: "json_schema", source: JSON.stringify(SCHEMA) });

describe("a grammar", () => {
  it("allows what may follow, longer tokens as well, and the end where an answer may end", () => {
    const matcher = lark('start: "ab" /[0-9]+/ | "true"');
    expect(ask(matcher, "")).toEqual(["a", "t", "true"]);
    expect(ask(matcher, "ab")).toEqual([..."0123456789", "12"]);
    expect(ask(matcher, "ab7")).toEqual(["END", ..."0123456789", "12"]);
    expect(ask(matcher, "tr")).toEqual(["u"]);
    matcher.close();
  });

  it("goes back as drafts do, and says the same as one that never did", () => {
    const source = 'start: "x" /[a-c]*/ "y" /[a-c]*/';
    const matcher = lark(source);
    for (const answer of ["xabc", "xab", "xaby", "", "x", "xcccccyab", "xcccccya", "xb", "xay", "xby"]) {
      const fresh = lark(source);
      expect(ask(matcher, answer), answer).toEqual(ask(fresh, answer));
      fresh.close();
    }
    matcher.close();
  });

  it("keeps no mask of an answer of the same length that was taken back", () => {
    // Both answers have two bytes, and end in the same state of the lexer.
    const matcher = lark('start: a | b\na: "p" "q" "1"\nb: "r" "q" "2"');
    expect(ask(matcher, "pq")).toEqual(["1"]);
    expect(ask(matcher, "rq")).toEqual(["2"]);
    matcher.close();
  });

  it("allows nothing behind an answer that it does not allow, and recovers from it", () => {
    const matcher = lark('start: "ab"');
    expect(ask(matcher, "ax")).toBe(null);
    expect(ask(matcher, "a")).toEqual(["b"]);
    expect(ask(matcher, "ab")).toEqual(["END"]);
    expect(ask(matcher, [...ids("ab"), END])).toEqual([]);
    expect(ask(matcher, [...ids("ab"), END, ...ids("a")])).toBe(null);
    expect(ask(matcher, [...ids("a"), END])).toBe(null);
    expect(ask(matcher, "ab")).toEqual(["END"]);
    matcher.close();
  });

  it("looks at the answer alone, wherever it is", () => {
    const matcher = lark('start: "ab"');
    const tokens = [...ids("zzz"), ...ids("ab"), ...ids("zz")];
    expect(texts(matcher.allowed(tokens, 3, 4))).toEqual(["b"]);
    matcher.close();
  });

  it("that is none is refused with a reason, and others go on", () => {
    const matcher = lark('start: "ab"');
    expect(ask(matcher, "a")).toEqual(["b"]);
    for (const source of ['start: ("ab"', "start: nowhere", "", "start: /(/"]) {
      expect(() => lark(source), source).toThrow(SettingError);
      expect(() => lark(source), source).toThrow(/^the grammar cannot be used: .+/);
    }
    expect(ask(matcher, "a")).toEqual(["b"]);
    matcher.close();
  });

  it("is refused when it is too long", () => {
    expect(() => lark(`start: "${"a".repeat(300_000)}"`)).toThrow(/at most 262144 characters/);
  });

  it("of a schema is JSON in one line", () => {
    const matcher = schema();
    expect(ask(matcher, "")).toEqual(["{", '{"']);
    expect(ask(matcher, '{"name": "Bo", "old": ')).toEqual(["f", "t", "true"]);
    expect(ask(matcher, '{"name": "Bo", "old": true')).toEqual(["}"]);
    expect(ask(matcher, '{"name": "Bo", "old": true}')).toEqual(["END"]);
    expect(ask(matcher, '{"old"')).toBe(null);
    expect(ask(matcher, '{"name":')).toEqual([" "]);
    matcher.close();
  });
});

describe("forced text", () => {
  const forced = (matcher: GrammarMatcher, text: string) => {
    const tokens = ids(text);
    return Array.from(matcher.forced(tokens, 0, tokens.length), (id) =>
      new TextDecoder().decode(tokenizer.piece(id)),
    );
  };

  it("is spelt as the tokenizer spells it, up to where something else may follow", () => {
    const matcher = schema();
    // Behind the last quote a longer token may follow: '", "'.
    expect(forced(matcher, "")).toEqual(['{"', "name", '": ']);
    expect(forced(matcher, '{"na')).toEqual(["m", "e", '": ']);
    expect(forced(matcher, '{"name": "B')).toEqual([]);
    expect(forced(matcher, '{"name": "B", "old": t')).toEqual(["r", "u", "e", "}"]);
    expect(forced(matcher, '{"name": "B", "old": true}')).toEqual([]);
    expect(forced(matcher, "wrong")).toEqual([]);
    matcher.close();
  });

  it("does not change what is allowed", () => {
    const [asked, other] = [schema(), schema()];
    for (const answer of ["", "{", '{"n', '{"name": "B"', '{"name": "B", "old": f', ""]) {
      forced(asked, answer);
      expect(ask(asked, answer), answer).toEqual(ask(other, answer));
    }
    for (const matcher of [asked, other]) matcher.close();
  });

  it("is not spelt by a tokenizer that would put a space before it", async () => {
    class Spacing extends ByteTokenizer {
      override encode(text: string): Int32Array {
        return super.encode(` ${text}`);
      }
    }
    const spaced = await byteGrammars(new Spacing());
    const matcher = schema(spaced);
    expect([...matcher.forced([], 0, 0)]).toEqual([]);
    matcher.close();
  });

  it("leaves out a character that is cut off", () => {
    const matcher = lark('start: "é" "a" | "éb" | "è"');
    expect([...matcher.forced([], 0, 0)]).toEqual([]);
    matcher.close();
  });
});

describe("markers that are control tokens", () => {
  const specials = ["<open>", "<close>", "<other>"];
  const model = new ScriptTokenizer(specials);
  const answer = (text: string) => Array.from(model.encode(text, true));
  const own = (source: string, markers = ["<open>", "<close>"]) =>
    controlled.matcher({ kind: "lark", source: larkWithMarkers(source, markers) });
  const next = (matcher: GrammarMatcher, text: string) => {
    const tokens = answer(text);
    const set = matcher.allowed(tokens, 0, tokens.length);
    const ids = Array.from({ length: model.vocabularySize }, (_, id) => id);
    return set && ids.filter((id) => inTokenSet(set, id)).map((id) => model.decode(Int32Array.of(id)));
  };
  let controlled: LlguidanceGrammars;
  beforeAll(async () => {
    controlled = await byteGrammars(model);
  });

  it("are these tokens, also behind free text, and are forced as such", () => {
    const matcher = own('start: free "x" "<close>" | "<open>y"\nfree[lazy]: /(?s:.*)<open>/');
    expect(next(matcher, "")).toContain("<open>");
    expect(next(matcher, "Some text")).toContain("<open>");
    expect(next(matcher, "Some text<open>")).toEqual(["x"]);
    expect(next(matcher, "Some text<open>x")).toEqual(["<", "<close>"]);
    const tokens = answer("Some text<open>");
    expect(model.decode(matcher.forced(tokens, 0, tokens.length))).toBe("x<close>");
    expect([...matcher.forced(tokens, 0, tokens.length)]).toEqual(answer("x<close>"));
    matcher.close();
  });

  it("are those of the grammar alone", () => {
    const free = "start: /(?s:.*)/";
    const matcher = own(free);
    expect(next(matcher, "a")).toEqual(expect.arrayContaining(["<open>", "<close>"]));
    expect(next(matcher, "a")).not.toContain("<other>");
    expect(next(matcher, "a<other>")).toBe(null);
    matcher.close();
    const none = own(free, []);
    for (const text of specials) expect(next(none, "a")).not.toContain(text);
    expect(next(none, "a<open>")).toBe(null);
    none.close();
  });
});

describe("a source that is made to harm who reads it", () => {
  const deep = (open: string, close: string) => `${open.repeat(20_000)}${close.repeat(20_000)}`;
  const json = (source: string) => ({ kind: "json_schema", source }) as const;
  const long = 262_000;
  // None of them is timed; each took minutes, or ended the process, with a scan that went back or a walk that recursed.
  it.each<[string, Grammar]>([
    ["a value of many levels below not", json(`{"not":{"const":${deep("[", "]")}}}`)],
    ["a value of many levels below if", json(`{"if":{"const":${deep("[", "]")}},"then":false}`)],
    ["an annotation of many levels", json(`{"description":${deep("[", "]")}}`)],
    ["many levels below not", json(`{"not":${deep('{"anyOf":[', "]}").replace(/\[\]/g, "[{}]")}}`)],
    [
      "a name that is no text",
      json('{"type":"object","not":{"required":[{"toString":1,"valueOf":1}],"properties":{}}}'),
    ],
    [
      "a name of every object",
      json('{"required":["__proto__","constructor"],"not":{"required":["__proto__"]}}'),
    ],
    ["many values", json(`{"enum":[${"1,".repeat(100_000)}1]}`)],
    ["a string that does not end", { kind: "lark", source: `"${'\\"'.repeat(long / 2)}` }],
    ["a schema that does not end", { kind: "lark", source: `start: %json {"${'\\"'.repeat(long / 2)}` }],
    ["many regular expressions that do not end", { kind: "lark", source: "/a\n".repeat(long / 3) }],
    ["tokens by number", { kind: "lark", source: 'start: <[1]> "x"' }],
    ["an attribute that does not end", { kind: "lark", source: `a[${" max".repeat(long / 4)}` }],
    ["lines without rules", { kind: "ebnf", source: `x${"\n".repeat(long)}` }],
  ])("%s is an error of it", { timeout: 20_000 }, (_, grammar) => {
    const act = () => grammars.matcher(grammar).close();
    try {
      act();
    } catch (error) {
      expect(error).toBeInstanceOf(SettingError);
      expect((error as Error).message).not.toMatch(/call stack|undefined|not a function/);
    }
    expect(grammars.load.open).toBe(0);
  });
});

describe("limits", () => {
  it.each([
    ["items", { itemsInRow: 5 }, 'start: e\ne: e e | "a"', /Current row has .* items/],
    ["the items of a mask", { stepItems: 50 }, 'start: e\ne: e e | "a" | /[a-z]/', /Too many items/],
    ["the size of a grammar", { grammarSize: 100 }, `start: ${'"a" | '.repeat(200)}"b"`, /grammar size/],
    [
      "the fuel of a compile",
      { compileFuel: 5000 },
      `start: /${"(ab|cd)?x[a-f]".repeat(900)}/`,
      /too big|fuel/,
    ],
  ])("on %s are a typed error that says which", async (_, limits, source, message) => {
    const small = await byteGrammars(tokenizer, { limits: { ...GRAMMAR_LIMITS, ...limits } });
    const use = () => {
      const matcher = lark(source, small);
      try {
        for (const text of ["", "a", "aa", "aaa", "aaaa", "aaaaa", "aaaaaa"]) ask(matcher, text);
      } finally {
        matcher.close();
      }
    };
    expect(use).toThrow(message);
    // The instance is as good as before.
    expect(small.load.open).toBe(0);
    const matcher = schema(small);
    expect(ask(matcher, "")).toEqual(["{", '{"']);
    matcher.close();
  });

  it("let a long text be read at once, and stop one whose lexer has no end", () => {
    const text = `{"name": "${"long ".repeat(2000)}", "old": true}`;
    const matcher = schema();
    expect(ask(matcher, text)).toEqual(["END"]);
    matcher.close();
    const endless = grammars.matcher({ kind: "regex", source: "(([a-z]{1,300}){1,300}[a-y]{1,300}){1,300}" });
    expect(() => ask(endless, "abcdefghij".repeat(300))).toThrow(/lexer|too complex|expressions/i);
    endless.close();
  });
});

// biome-ignore lint/suspicious/noExplicitAny: a test reaches into what is private
type Inside = any;

describe("a grammar that breaks the library", () => {
  const break_ = (message = "unreachable") =>
    vi.spyOn(GrammarLibrary.prototype as Inside, "call").mockImplementationOnce(function (this: object) {
      Reflect.set(this, "trapped", true);
      throw Object.assign(new SettingError("grammar", message), { code: "grammar_limit" });
    });

  it("is refused when it does so again, and other answers go on where they were", async () => {
    const fresh = await byteGrammars(tokenizer);
    const other = schema(fresh);
    expect(ask(other, '{"name": "Bo", "ol')).toEqual(["d"]);
    const culprit = lark('start: "ab"', fresh);
    break_();
    expect(() => ask(culprit, "a")).toThrow("unreachable");
    // Once may have been for want of memory that others took.
    const again = lark('start: "ab"', fresh);
    break_();
    expect(() => ask(again, "a")).toThrow("unreachable");
    again.close();
    expect(ask(other, '{"name": "Bo", "old')).toEqual(['"', '": ']);
    expect(() => lark('start: "ab"', fresh)).toThrow(/broke the grammar library/);
    culprit.close();
    other.close();
    expect(fresh.load.open).toBe(0);
  });

  it("also while it is compiled", async () => {
    const fresh = await byteGrammars(tokenizer);
    const other = schema(fresh);
    for (let times = 0; times < 2; times++) {
      break_();
      expect(() => lark('start: "x"', fresh)).toThrow(/unreachable/);
    }
    expect(() => lark('start: "x"', fresh)).toThrow(/broke the grammar library/);
    expect(ask(other, "")).toEqual(["{", '{"']);
    other.close();
  });

  it("is found out by a trap of WebAssembly itself", async () => {
    const fresh = await byteGrammars(tokenizer);
    const matcher = lark('start: "ab"', fresh);
    const { held } = matcher as unknown as { held: { handle: number } };
    // Past all memory: what a wild pointer would be.
    held.handle = 0x3fff_fff0;
    expect(() => ask(matcher, "a")).toThrow(/more memory or a deeper stack/);
    const next = schema(fresh);
    expect(ask(next, "")).toEqual(["{", '{"']);
    next.close();
  });
});

describe("compiled grammars", () => {
  it("are bounded in number, and nothing is left of answers that are over", async () => {
    const fresh = await byteGrammars(tokenizer);
    for (let number = 0; number < 100; number++) lark(`start: "a${number}"`, fresh).close();
    expect(fresh.load).toMatchObject({ open: 0, compiled: 32 });
    const { bytes } = fresh.load;
    for (let number = 0; number < 500; number++) {
      const matcher = lark(`start: "b${number}" /[a-z]*/`, fresh);
      ask(matcher, `b${number}abc`);
      matcher.close();
    }
    expect(fresh.load).toMatchObject({ open: 0, compiled: 32 });
    expect(fresh.load.bytes).toBeLessThan(bytes + 8 * 1024 * 1024);
  });
});

it("the file is the one that was built of these sources", async () => {
  const { createHash } = await import("node:crypto");
  const sha256 = (path: string) =>
    createHash("sha256")
      .update(readFileSync(`engines/llguidance/${path}`))
      .digest("hex");
  const built = JSON.parse(readFileSync("engines/llguidance/built.json", "utf8"));
  expect(sha256("llguidance.wasm")).toBe(built.sha256);
  for (const [path, hash] of Object.entries(built.sources)) expect(sha256(path), path).toBe(hash);
});
