import type { Grammar } from "../../src/decoding/grammar.ts";

/** Grammars by name, for measurements and attacks. */

const object = (properties: object): object => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const schema = (value: unknown): Grammar => ({ kind: "json_schema", source: JSON.stringify(value) });
const lark = (source: string): Grammar => ({ kind: "lark", source });
const ebnf = (source: string): Grammar => ({ kind: "ebnf", source });
const regex = (source: string): Grammar => ({ kind: "regex", source });
const times = <T>(n: number, of: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => of(i));
const nested = (depth: number): object =>
  depth === 0 ? { type: "string" } : object({ a: nested(depth - 1) });

/** What applications send. */
export const ORDINARY: Readonly<Record<string, Grammar>> = {
  person: schema(object({ name: { type: "string" }, age: { type: "integer", minimum: 0, maximum: 150 } })),
  order: schema(
    object({
      id: { type: "string", pattern: "^[A-Z]{2}-[0-9]{6}$" },
      items: {
        type: "array",
        minItems: 1,
        maxItems: 20,
        items: object({
          name: { type: "string", maxLength: 80 },
          price: { type: "number", minimum: 0 },
          tags: { type: "array", items: { enum: ["new", "sale", "gift"] } },
        }),
      },
      paid: { type: "boolean" },
      note: { anyOf: [{ type: "string" }, { type: "null" }] },
    }),
  ),
  "any object": schema({ type: "object" }),
  "a tree": schema({
    $ref: "#/$defs/node",
    $defs: {
      node: object({
        value: { type: "number" },
        children: { type: "array", items: { $ref: "#/$defs/node" } },
      }),
    },
  }),
  "200 fields": schema(object(Object.fromEntries(times(200, (i) => [`field_${i}`, { type: "string" }])))),
  "500 values": schema({ enum: times(500, (i) => `value ${(i * 7919) % 10007}`) }),
  email: schema(
    object({ at: { type: "string", format: "date-time" }, from: { type: "string", format: "email" } }),
  ),
  "lengths of 1,000": schema(object({ text: { type: "string", minLength: 100, maxLength: 1000 } })),
  arithmetic: lark(
    'start: sum\nsum: product (("+" | "-") product)*\nproduct: atom (("*" | "/") atom)*\natom: /[0-9]+/ | "(" sum ")"',
  ),
  "json in GBNF": ebnf(
    'root ::= value\nvalue ::= object | array | string | number | "true" | "false" | "null"\nobject ::= "{" ws (pair ("," ws pair)*)? "}" ws\npair ::= string ":" ws value\narray ::= "[" ws (value ("," ws value)*)? "]" ws\nstring ::= "\\"" ([^"\\\\\\x00-\\x1f] | "\\\\" ["\\\\/bfnrt])* "\\"" ws\nnumber ::= "-"? [0-9]+ ("." [0-9]+)? ws\nws ::= [ \\t\\n]*',
  ),
};

/** Made to cost as much as they can: each froze a grammar library, or could. */
export const HOSTILE: Readonly<Record<string, Grammar>> = {
  "nested repeats": regex("(([a-z]{1,1000}){1,1000}){1,1000}"),
  "a pattern of repeats": schema({ type: "string", pattern: "^(([a-z]{1,1000}){1,1000}){1,1000}$" }),
  "a repeat of a choice": regex("(a|ab|abc|[a-z]{1,50}){1,5000}x"),
  intersections: lark(`start: A\nA: ${times(12, (i) => `/(.*[a-c]){${i + 2}}.*/`).join(" & ")}`),
  "a long look back": regex("(a|b)*a(a|b){200}"),
  "5,000 options": schema({ anyOf: times(5000, (i) => object({ [`k${i}`]: { const: i } })) }),
  "5,000 literals": lark(`start: ${times(5000, (i) => `"w${i}"`).join(" | ")}`),
  "4,000 values": schema({ enum: times(4000, (i) => `${"v".repeat(i % 40)}${i}`) }),
  "depth 5,000": {
    kind: "json_schema",
    source: `${'{"type":"array","items":'.repeat(5000)}true${"}".repeat(5000)}`,
  },
  "depth 90": schema(nested(90)),
  ambiguous: lark('start: e\ne: e e | "a" | "b" | /[a-z]/ | e e e'),
  "very ambiguous": lark(
    `start: x*\nx: ${times(60, (i) => `a${i}`).join(" | ")}\n${times(60, (i) => `a${i}: "a" x? | "a" "a" x?`).join("\n")}`,
  ),
  "left-recursive": lark('start: l\nl: l "a" | l l "b" | "a"'),
  "right-recursive": lark("start: r\nr: /[a-z]/ r | /[a-z]/"),
  "empty loops": lark('start: (a*)*\na: b*\nb: c?\nc: "x"?'),
  "empty loops in EBNF": ebnf('root ::= (("" | "a"?)*)*'),
  "35 KB of rules": ebnf(
    `root ::= r0\n${times(900, (i) => `r${i} ::= "a" r${(i + 1) % 900} | [a-z] r${(i * 7) % 900} | ""`).join("\n")}`,
  ),
  "12 KB of a pattern": schema({
    type: "string",
    pattern: times(600, (i) => `(a{${i % 9},}|b.*c)`).join("|"),
  }),
  "many optional members": schema({
    type: "object",
    properties: Object.fromEntries(times(2000, (i) => [`p${i}`, {}])),
  }),
  "additional beside 1,000": schema({
    type: "object",
    properties: Object.fromEntries(times(1000, (i) => [`p${i}`, { type: "string" }])),
    additionalProperties: { type: "string", pattern: "^[a-z]+$" },
  }),
};
