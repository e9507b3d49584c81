import { beforeAll, describe, expect, it } from "vitest";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { XGrammars } from "./grammars.ts";
import { schemaGrammar } from "./schema.ts";

/** A token a byte, an end token, a special one, and a few longer ones, of which one is half a character. */
const LONGER = ['{"', '": ', '", "', "true", "12", "\u00e9\u00e9"];
const PIECES = [
  new Uint8Array(0),
  new Uint8Array(0),
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...LONGER.map((text) => new TextEncoder().encode(text)),
];
const END = 1;
const tokenizer: Tokenizer = {
  fingerprint: "bytes",
  vocabularySize: PIECES.length,
  beginText: "",
  endText: "",
  addsBegin: false,
  encode: () => new Int32Array(0),
  piece: (token) => PIECES[token]!,
};
const ids = (text: string) => Array.from(new TextEncoder().encode(text), (byte) => byte + 2);
const has = (set: Int32Array, token: number) => ((set[token >>> 5]! >>> (token & 31)) & 1) === 1;
const texts = (set: Int32Array | null) =>
  set &&
  PIECES.flatMap((piece, id) => (has(set, id) ? [id === END ? "END" : new TextDecoder().decode(piece)] : []));

const SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, old: { type: "boolean" } },
  required: ["name", "old"],
  additionalProperties: false,
};

let grammars: XGrammars;
beforeAll(async () => {
  grammars = await XGrammars.create(tokenizer, [END]);
});

function matcherOf(grammars: XGrammars, source: string) {
  return grammars.matcher({ kind: "ebnf", source });
}

describe("a grammar", () => {
  it("allows what may follow, longer tokens as well, and the end where an answer may end", () => {
    const matcher = matcherOf(grammars, 'root ::= "ab" [0-9]+ | "true"');
    const allowed = (text: string) => texts(matcher.allowed(ids(text), 0, ids(text).length));
    expect(allowed("")).toEqual(["a", "t", "true"]);
    expect(allowed("ab")).toEqual([..."0123456789", "12"]);
    expect(allowed("ab7")).toEqual(["END", ..."0123456789", "12"]);
    expect(allowed("tr")).toEqual(["u"]);
    matcher.close();
  });

  it("goes back as drafts do, and says the same as one that never did", () => {
    const source = 'root ::= "x" [a-c]* "y" [a-c]*';
    const matcher = matcherOf(grammars, source);
    const answers = ["xabc", "xab", "xaby", "", "x", "xcccccyab", "xcccccya", "xb"];
    for (const answer of answers) {
      const fresh = matcherOf(grammars, source);
      const tokens = ids(answer);
      expect(texts(matcher.allowed(tokens, 0, tokens.length)), answer).toEqual(
        texts(fresh.allowed(tokens, 0, tokens.length)),
      );
      fresh.close();
    }
    matcher.close();
  });

  it("allows nothing behind an answer that it does not allow, and recovers from it", () => {
    const matcher = matcherOf(grammars, 'root ::= "ab"');
    const ask = (tokens: number[]) => texts(matcher.allowed(tokens, 0, tokens.length));
    expect(ask(ids("ax"))).toBe(null);
    expect(ask(ids("a"))).toEqual(["b"]);
    expect(ask(ids("ab"))).toEqual(["END"]);
    expect(ask([...ids("ab"), END])).toEqual([]);
    expect(ask([...ids("ab"), END, ...ids("a")])).toBe(null);
    expect(ask(ids("ab"))).toEqual(["END"]);
    matcher.close();
  });

  it("looks at the answer alone, wherever it is", () => {
    const matcher = matcherOf(grammars, 'root ::= "ab"');
    const tokens = [...ids("zzz"), ...ids("ab"), ...ids("zz")];
    expect(texts(matcher.allowed(tokens, 3, 4))).toEqual(["b"]);
    matcher.close();
  });

  it("that is none is refused with a reason, and others go on", async () => {
    const matcher = matcherOf(grammars, 'root ::= "ab"');
    matcher.allowed(ids("a"), 0, 1);
    expect(() => matcherOf(grammars, 'root ::= ("ab"')).toThrow(/the grammar cannot be used: .*/);
    expect(texts(matcher.allowed(ids("a"), 0, 1))).toEqual(["b"]);
    matcher.close();
    // Until the parser is there again only grammars that were read before can be had.
    expect(() => matcherOf(grammars, 'root ::= "new"')).toThrow(/try again in a second/);
    matcherOf(grammars, 'root ::= "ab"').close();
    await grammars.ready();
    expect(texts(matcherOf(grammars, 'root ::= "new"').allowed([], 0, 0))).toEqual(["n"]);
  });

  it("is refused when it is too long", () => {
    expect(() => matcherOf(grammars, `root ::= "${"a".repeat(300_000)}"`)).toThrow(
      /at most 262144 characters/,
    );
  });
});

describe("a schema", () => {
  it("is a grammar of JSON in one line", async () => {
    const matcher = matcherOf(grammars, await schemaGrammar(SCHEMA));
    const allowed = (text: string) => texts(matcher.allowed(ids(text), 0, ids(text).length));
    expect(allowed("")).toEqual(["{", '{"']);
    expect(allowed('{"name": "Bo", "old": ')).toEqual(["f", "t", "true"]);
    expect(allowed('{"name": "Bo", "old": true')).toEqual(["}"]);
    expect(allowed('{"name": "Bo", "old": true}')).toEqual(["END"]);
    expect(allowed('{"old"')).toBe(null);
    expect(allowed('{"name":')).toEqual([" "]);
    matcher.close();
  });

  it.each([
    ["a bound on its length", { type: "string", maxLength: 4 }],
    ["a pattern of anything", { type: "string", pattern: "^a.*$" }],
    ["a pattern that leaves something out", { type: "string", pattern: "^a[^b]*$" }],
  ])("with a string that has %s allows nothing that a JSON string cannot hold", async (_, schema) => {
    const matcher = matcherOf(grammars, await schemaGrammar(schema));
    const allowed = texts(matcher.allowed(ids('"a'), 0, 2))!;
    expect(allowed).toContain("c");
    for (const code of [0, 1, 9, 10, 13, 31]) expect(allowed).not.toContain(String.fromCharCode(code));
    expect(allowed).not.toContain("\\");
    // Only as the end of the string.
    const behind = texts(matcher.allowed(ids('"a"'), 0, 3));
    if (behind) expect(behind).toEqual(["END"]);
    matcher.close();
  });

  it("that is none is refused with a reason, and the next one is read", async () => {
    await expect(schemaGrammar({ type: "poem" })).rejects.toMatchObject({
      setting: "schema",
      message: expect.stringMatching(/the JSON schema cannot be used: .*poem/),
    });
    await expect(schemaGrammar({ type: "object", properties: { x: { $ref: "#/nowhere" } } })).rejects.toThrow(
      /cannot be used/,
    );
    expect(await schemaGrammar({ type: "boolean" })).toMatch(/root ::=/);
    await expect(schemaGrammar({ title: "x".repeat(70_000) })).rejects.toThrow(/at most 65536/);
  });
});
