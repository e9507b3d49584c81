import { describe, expect, it } from "vitest";
import { ByteTokenizer, byteGrammars, END } from "../../../test/support/byte-grammars.ts";
import { inTokenSet } from "../../sampling/sampler.ts";
import { SettingError } from "../../util/errors.ts";
import { larkOfEbnf } from "./lark.ts";

const tokenizer = new ByteTokenizer();
const grammars = await byteGrammars(tokenizer);

/** Whether a text is one of the grammar's: each byte in turn may come, and then the end. */
function has(source: string, text: string): boolean {
  const matcher = grammars.matcher({ kind: "ebnf", source });
  const tokens = [...tokenizer.bytes(text), END];
  let may = true;
  for (const [at, token] of tokens.entries()) {
    const set = matcher.allowed(tokens, 0, at);
    may &&= set !== null && inTokenSet(set, token);
  }
  matcher.close();
  return may;
}

function expectTexts(source: string, yes: readonly string[], no: readonly string[]): void {
  for (const text of yes) expect(has(source, text), `${source}\nhas ${JSON.stringify(text)}`).toBe(true);
  for (const text of no) expect(has(source, text), `${source}\nhas no ${JSON.stringify(text)}`).toBe(false);
}

describe("syntax", () => {
  const cases: Record<string, [source: string, yes: string[], no: string[]]> = {
    "strings and sequences": ['root ::= "ab" "c"', ["abc"], ["ab", "abcc", ""]],
    alternatives: ['root ::= "ab" | "c" | "ad"', ["ab", "c", "ad"], ["a", "abc"]],
    "empty alternatives": ['root ::= "a" ( | "b")', ["a", "ab"], ["b", ""]],
    "a last empty alternative": ['root ::= "a" |\n', ["a", ""], ["aa"]],
    "empty strings": ['root ::= "" | "a" ""', ["", "a"], ["aa"]],
    "empty parentheses": ['root ::= () "a"', ["a"], [""]],
    "only the empty text": ['root ::= ""', [""], ["a"]],
    repeats: ['root ::= "a"* "b"+ "c"?', ["b", "aabbc"], ["a", "ac", "bcc"]],
    "an exact count": ['root ::= "ab"{2}', ["abab"], ["ab", "ababab"]],
    "counts without an end": ['root ::= "a"{2,}', ["aa", "aaaaa"], ["a"]],
    "counts between": ['root ::= "a"{ 1 , 3 }', ["a", "aaa"], ["", "aaaa"]],
    "counts without a beginning": ['root ::= "a"{,2}', ["", "aa"], ["aaa"]],
    "no times": ['root ::= "a"{0} "b"', ["b"], ["ab"]],
    "repeats of repeats": ['root ::= ("a"{2}){2} "b"**', ["aaaa", "aaaabb"], ["aa", "aaa"]],
    "a repeat of nothing": ['root ::= (""  )* "a"', ["a"], [""]],
    classes: ["root ::= [a-cx]", ["a", "c", "x"], ["d", "", "-"]],
    "classes that are negated": ['root ::= [^a-c"]', ["d", "é", "\n", "😀"], ["a", '"']],
    "dashes at the edges": ["root ::= [-a] [b-] [a\\-c]", ["--a", "ab-"], ["abb"]],
    "carets elsewhere": ["root ::= [a^]", ["^", "a"], ["b"]],
    "escapes in classes": [
      "root ::= [\\]\\[\\\\\\n\\x41\\u00e9\\U0001F600]",
      ["]", "[", "\\", "\n", "A", "é", "😀"],
      ["x"],
    ],
    "any character": ["root ::= .", ["a", "\n", "é", "😀"], ["", "ab"]],
    "escapes in strings": [
      'root ::= "\\n\\r\\t\\\\\\"\\\'\\[\\]\\x41\\u00e9\\U0001F600\\u{e8}\\0"',
      ["\n\r\t\\\"'[]Aé😀è\0"],
      ["n"],
    ],
    "\\xNN is a character, not a byte": ['root ::= "\\xe9"', ["é"], []],
    "characters as they are": ['root ::= "é😀" [à-ü]', ["é😀é"], ["é😀e"]],
    "other spaces, comments": ['# one\nroot ::= # two\r\n\t"a" # "b"\n | "c" # end', ["a", "c"], ["b"]],
    "rules that go on": ['root ::= "a"\n  "b"\n| x\nx ::=\n "c"', ["ab", "c"], ["a", "abc"]],
    "new lines in parentheses": ['root ::= (\n"a"\n|\n"b"\n)+', ["ab"], [""]],
    "names of GBNF": ['root ::= my-rule-2\nmy-rule-2 ::= "a"', ["a"], []],
    "names of xgrammar": ['root ::= my_rule.x\nmy_rule.x ::= "a"', ["a"], ["ab"]],
    "a dot behind a name": ['root ::= my.\nmy ::= "a"', ["ax"], ["a"]],
    "rules in any order, and one that is not used": ['x ::= "a"\nroot ::= x x\ny ::= x', ["aa"], ["a"]],
    "control characters": ['root ::= "\\x7f\\x01" [\\x00-\\x1f]', ["\x7f\x01\x02"], ["a"]],
    "classes with surrogates among them": ["root ::= [\\uD000-\\uFFFF]", ["\ue000"], ["a", "😀"]],
  };
  for (const [name, [source, yes, no]] of Object.entries(cases)) {
    it(name, () => expectTexts(source, yes, no));
  }
});

describe("errors", () => {
  const cases: Record<string, [source: string, message: RegExp]> = {
    "nothing at all": ["", /no rule root/],
    "no root": ['start ::= "a"', /no rule root/],
    "an unknown rule": ['root ::= "a"\n  | b', /line 2: there is no rule b/],
    "an unknown rule where it is not needed": ['root ::= "a"\nx ::= y', /line 2: there is no rule y/],
    "a rule twice": ['root ::= "a"\nroot ::= "b"', /line 2: rule root is defined twice/],
    "a string that is open": ['root ::= "a\n"', /line 1: this string is never closed/],
    "a string that is open at the end": ['root ::= "a\\', /line 1: there is no escape/],
    "a class that is open": ["\nroot ::= [a", /line 2: this class is never closed/],
    "a range that is open": ["root ::= [a-", /line 1: this class is never closed/],
    "an empty class": ["root ::= []", /line 1: this class has no characters/],
    "an empty negated class": ["root ::= [^]", /no characters/],
    "a class of nothing": ["root ::= [^\\x00-\\U0010FFFF]", /no characters/],
    "a class of surrogates": ["root ::= [\\uD800]", /\\uD800 is no character/],
    "a backward range": ["root ::= [z-a]", /line 1: the range z-a is backwards/],
    "an unknown escape": ['root ::= "\\q"', /line 1: there is no escape \\q/],
    "a class escape": ["root ::= [\\d]", /there is no escape \\d/],
    "too few digits": ['root ::= "\\x1"', /\\x needs 2 hexadecimal digits/],
    "no digits": ['root ::= "\\u{}"', /\\u\{ needs/],
    "past Unicode": ['root ::= "\\U00110000"', /is no character/],
    "half a character": ['root ::= "\\uD83D\\uDE00"', /is no character/],
    "a lone surrogate": ['root ::= "\ud83d"', /a lone surrogate is no character/],
    "parentheses that are open": ['root ::= ("a"\nx ::= "b"', /line 1: this \( is never closed/],
    "parentheses that are closed twice": ['root ::= "a")', /line 1: "\)" is not expected here/],
    "a repeat of nothing": ["root ::= *", /line 1: "\*" is not expected here/],
    "a backward repeat": ['root ::= "a"{3,2}', /line 1: the repeat \{3,2\} is backwards/],
    "an empty repeat": ['root ::= "a"{}', /a repeat is written/],
    "an open repeat": ['root ::= "a"{2', /a repeat is written/],
    "a repeat of two commas": ['root ::= "a"{,}', /a repeat is written/],
    "a large repeat": ['root ::= "a"{10001}', /at most 10000 times/],
    "large repeats in each other": ['root ::= ("a"{1,5000} "b"){1,5000}', /more than 1000000 times/],
    "no ::=": ['root = "a"', /line 1: expected ::= after the name root/],
    "no rule": ['"a"', /line 1: a rule has to begin here/],
    "two rules on a line": ['root ::= "a" x ::= "b"', /line 1: rule x has to begin on a line of its own/],
    "another character": ['root ::= "a" & "b"', /line 1: "&" is not expected here/],
    lookaheads: ['root ::= "a" (= "b")', /lookaheads .* not supported/],
    macros: ['root ::= TagDispatch(("a", x))', /TagDispatch\(\.\.\.\) is not supported/],
    tokens: ["root ::= <think>", /tokens such as/],
    "tokens that may not come": ["root ::= !<[7]>", /tokens such as/],
    "a rule that never ends": ['root ::= "a" x\nx ::= "b" x', /root has no text that ends/],
    "a rule that is itself": ["root ::= root", /root has no text that ends/],
  };
  for (const [name, [source, message]] of Object.entries(cases)) {
    it(name, () => {
      expect(() => larkOfEbnf(source)).toThrow(SettingError);
      expect(() => larkOfEbnf(source)).toThrow(message);
      expect(() => larkOfEbnf(source)).not.toThrow(/\n/);
    });
  }

  it("groups that are too deep, and never an overflow", () => {
    const nested = (depth: number) => `root ::= ${"(".repeat(depth)}"a"${")".repeat(depth)}`;
    expectTexts(nested(200), ["a"], ["b"]);
    expect(() => larkOfEbnf(nested(201))).toThrow(/more than 200 groups/);
    expect(() => larkOfEbnf(nested(30_000))).toThrow(/more than 200 groups/);
    expect(() => larkOfEbnf(`root ::= "a"${"*".repeat(60_000)}`)).toThrow(/more than 200 groups/);
    expect(() => larkOfEbnf(`root ::= ${"(".repeat(60_000)}`)).toThrow(/more than 200 groups/);
  });
});

describe("what the longest match would lose", () => {
  const cases: Record<string, [source: string, yes: string[], no: string[]]> = {
    "a repeat before what it has itself": ['root ::= [a-z]* "b"', ["b", "bb", "ab", "abcb"], ["", "a", "bc"]],
    "the same in a circle": ['root ::= [a-z]* "b" | "(" root ")"', ["(ab)", "((bb))", "b"], ["(a)", "(b"]],
    "a prefix of another": [
      'root ::= "a" x | "ab" y | "(" root ")"\nx ::= "bc"\ny ::= "d"',
      ["abc", "(abd)"],
      ["ab"],
    ],
    "characters that share a byte": ['root ::= "é"* "è" | "(" root ")"', ["è", "ééè", "(éè)"], ["é"]],
    palindromes: ['root ::= "a" root "a" | "b" root "b" | ""', ["", "abba", "aaaa", "baab"], ["a", "abb"]],
    "left recursion": ['root ::= root "+" n | n\nn ::= [0-9]+', ["1", "1+22+3"], ["1+", "+1"]],
    "circles of the empty text": ['root ::= x* \nx ::= root | "a" | ("")*', ["", "aaa"], ["b"]],
    ambiguity: ['root ::= root root | "a" | ""', ["", "a", "aaaaaa"], ["b"]],
  };
  for (const [name, [source, yes, no]] of Object.entries(cases)) {
    it(name, () => expectTexts(source, yes, no));
  }
});

const JSON_GRAMMAR = `
root    ::= object
value   ::= object | array | string | number | ("true" | "false" | "null") space
object  ::= "{" space (member ("," space member)*)? "}" space
member  ::= string ":" space value
array   ::= "[" space (value ("," space value)*)? "]" space
string  ::= "\\"" ([^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\/bfnrt] | "u" [0-9a-fA-F]{4}))* "\\"" space
number  ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,3})? space
space   ::= | " " | "\\n" [ \\t]{0,20}
`;
const ARITHMETIC = `
root ::= (sum "=" space sum "\\n")+
sum  ::= term ([-+*/] space term)*
term ::= name | [0-9]+ space | "(" space sum ")" space
name ::= [a-z] [a-z0-9_]* space
space ::= [ \\t\\n]*
`;
const LIST = `root ::= item+
# a line
item ::= "- " [^\\r\\n\\x0b\\x0c\\x85\\u2028\\u2029]+ "\\n"`;
/** As release 0.1 wrote a schema: an object of a string and a list of whatever JSON there is. */
const FROM_A_SCHEMA = `
basic_escape ::= (([\\"\\\\/bfnrt]) | ("u" [A-Fa-f0-9] [A-Fa-f0-9] [A-Fa-f0-9] [A-Fa-f0-9]))
basic_string_sub ::= (("\\"") | ([^\\0-\\x1f\\"\\\\\\r\\n] basic_string_sub) | ("\\\\" basic_escape basic_string_sub))
basic_any ::= ((basic_number) | (basic_string) | (basic_boolean) | (basic_null) | (basic_array) | (basic_object))
basic_integer ::= (("0") | (basic_integer_1 [1-9] [0-9]*))
basic_number ::= ((basic_number_1 basic_number_2 basic_number_3))
basic_string ::= (("\\"" basic_string_sub))
basic_boolean ::= (("true") | ("false"))
basic_null ::= (("null"))
basic_array ::= (("[" basic_any basic_array_1 "]") | ("[]"))
basic_object ::= (("{" basic_string ": " basic_any basic_object_1 "}") | ("{}"))
root_part_0 ::= ((", " "\\"items\\"" ": " basic_array))
root ::= (("{" "\\"name\\"" ": " basic_string root_part_0 "}"))
basic_integer_1 ::= ("" | ("-"))
basic_number_1 ::= ("" | ("-"))
basic_number_2 ::= (("0") | ([1-9] [0-9]*))
basic_number_3 ::= ("" | ("." basic_number_4))
basic_number_4 ::= (([0-9] basic_number_4) | ([0-9]))
basic_array_1 ::= ("" | (", " basic_any basic_array_1))
basic_object_1 ::= ("" | (", " basic_string ": " basic_any basic_object_1))
`;

describe("grammars as they are written", () => {
  it("JSON", () => {
    const yes = [
      "{}",
      '{"a": 1}',
      '{"a":[1, -2.5e+3,{"b":"\\u00e9\\n"}],"c":null}',
      '{\n\t"é": ["", true]}\n',
    ];
    const no = ["[]", "{", '{"a"}', '{"a":01}', '{"a":"\n"}', '{"a":1,}', "{} x", '{"a":tru}'];
    expectTexts(JSON_GRAMMAR, yes, no);
  });

  it("arithmetic, whose lines end as its spaces do", () => {
    const yes = ["1=1\n", "a*(b+ 2)= x\n\n3=4\n", "(1)=((2))\n"];
    expectTexts(ARITHMETIC, yes, ["1=1", "1\n", "(1=2\n", "A=1\n", "1+=2\n"]);
  });

  it("lists", () => {
    expectTexts(LIST, ["- a\n", "- a b\n- é - c\n"], ["", "- \n", "-a\n", "- a"]);
  });

  it("what release 0.1 wrote for a schema", () => {
    const yes = ['{"name": "", "items": []}', '{"name": "B\\"é", "items": [1, {"a": [null, "x"]}, -0.50]}'];
    const no = [
      '{"name": ""}',
      '{"name": "", "items": [1,2]}',
      '{"name": "\n", "items": []}',
      '{"name": "", "items": [.5]}',
    ];
    expectTexts(FROM_A_SCHEMA, yes, no);
  });
});

it("garbage is refused in a line, or is a grammar: 3000 damaged sources", () => {
  const bits = [...'()[]{}|*+?.,:=-"\\#^\n ax19é', "::=", "root", "{2}", "\\x", "\ud800", "[^", "space"];
  let state = 1;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  let [refused, taken] = [0, 0];
  for (let i = 0; i < 3000; i++) {
    let source = [JSON_GRAMMAR, ARITHMETIC, LIST, FROM_A_SCHEMA][i % 4]!;
    for (let edits = 1 + below(3); edits > 0; edits--) {
      const at = below(source.length);
      source = source.slice(0, at) + bits[below(bits.length)] + source.slice(at + below(3));
    }
    try {
      larkOfEbnf(source);
      taken++;
    } catch (error) {
      expect(error, source).toBeInstanceOf(SettingError);
      expect((error as SettingError).message, source).toMatch(/^EBNF[^\n]*: [^\n]+$/);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(500);
  expect(taken).toBeGreaterThan(200);
});

describe("cost", () => {
  const value = (i: number) =>
    `{"number": ${i}, "text": "some words, ${i}", "list": [1, 2.5, null, {"deep": [[]]}]}`;
  const text = `{"values": [${Array.from({ length: 12 }, (_, i) => value(i)).join(", ")}]}`;

  it.each([
    ["JSON", JSON_GRAMMAR, text],
    ["a schema of release 0.1", FROM_A_SCHEMA, `{"name": "B", "items": [${text}]}`],
  ])("%s of 900 characters keeps within the limits", (_, source, answer) => {
    expect(answer.length).toBeGreaterThan(900);
    expect(has(source, answer)).toBe(true);
  });

  it("sources of the greatest length are read in time that grows with their length", () => {
    const sources = {
      text: `root ::= "${"a".repeat(262_000)}"`,
      comments: `root ::= "a"\n${"# b\n".repeat(65_000)}`,
      alternatives: `root ::= ${'"ab" | '.repeat(37_000)}"c"`,
      names: `root ::= ${"a".repeat(260_000)}\n`,
      dots: `x.y ::= "a"\nroot ::= ${"a.".repeat(100_000)}\na ::= "a"`,
      classes: `root ::= ${"[a-z] ".repeat(43_000)}`,
      chain: `root ::= r0\n${Array.from({ length: 9000 }, (_, i) => `r${i} ::= "a" r${i + 1}`).join("\n")}\nr9000 ::= ""`,
      circle: `root ::= r0\n${Array.from({ length: 9000 }, (_, i) => `r${i} ::= "a" r${i + 1} "b"`).join("\n")}\nr9000 ::= root | "c"`,
      wide: `root ::= ${'"(" root ")" | '.repeat(16_000)}"c"`,
    };
    for (const [name, source] of Object.entries(sources)) {
      const begin = performance.now();
      try {
        larkOfEbnf(source);
      } catch (error) {
        expect(error, name).toBeInstanceOf(SettingError);
      }
      const tookMs = performance.now() - begin;
      // Ten times what it takes: quadratic ways take minutes.
      expect(tookMs, name).toBeLessThan(5000);
    }
  });
});
