import { describe, expect, it } from "vitest";
import { ChatInterpreter, parseTemplate } from "./interpreter.ts";
import { Twins } from "./twins.ts";
import { toValue } from "./values.ts";

/** The template engine by itself; test/real compares it with Python's jinja2 and llama.cpp over real templates. */

const CHARACTERS = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))
  .filter((character) => !'"\\'.includes(character))
  .join("");
const MARKING = new Twins(CHARACTERS, 0xe000);

function rendered(source: string, data: Readonly<Record<string, unknown>> = {}, twins = Twins.NONE): string {
  const values = Object.entries(data).map(
    ([name, value]) => [name, toValue(value, twins, (text) => twins.twinned(text))] as const,
  );
  return new ChatInterpreter(new Map(values), twins).write(parseTemplate(source));
}

const DATA = {
  word: "Größe of <b>",
  spaced: "  a b  c ",
  tools: [
    { name: "b", n: 2, on: true },
    { name: "a", n: 10, on: false },
  ],
  object: { type: "string", items: { type: "integer" }, n: 1.5, none: null },
};

/** What jinja2 3.1.6 writes, with transformers' tojson; it refuses append and pop in its sandbox alone. */
const WRITTEN: readonly (readonly [source: string, text: string])[] = [
  // Texts.
  [
    "{{ word.upper() }}|{{ word | lower }}|{{ spaced | trim }}|{{ 'a-b c'.title() }}",
    "GRÖSSE OF <B>|größe of <b>|a b  c|A-B C",
  ],
  [
    "{{ spaced.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}",
    "['a', 'b', 'c']['a', 'b,c']['a,b', 'c']",
  ],
  ["{{ 'xxabxx'.strip('x') }}{{ 'xxa'.lstrip('x') }}{{ 'axx'.rstrip('x') }}", "abaa"],
  ["{{ word.startswith(('x', 'G')) }}{{ word.endswith('x') }}{{ word.find('of') }}", "TrueFalse6"],
  ["{{ 'a.b.a'.replace('a', 'c', 1) }}{{ 'aa' | replace('a', '-') }}", "c.b.a--"],
  ["{{ 'ab'.removeprefix('a') }}{{ 'ab'.removesuffix('b') }}{{ 'a=b=c'.partition('=')[2] }}", "bab=c"],
  ["{{ '<{}:{}>'.format('a', 1) }}{{ '{0}{0}{x}'.format('a', x=2) }}{{ '%s-%d' % ('a', 3) }}", "<a:1>aa2a-3"],
  [
    "{{ ', '.join(['a', 'b']) }}{{ 'ab' * 2 }}{{ 'abc'[1:] }}{{ 'abc'[-1] }}{{ 'é' ~ 1 ~ none }}",
    "a, bababbccé1None",
  ],
  [
    "{{ '12'.isdigit() }}{{ 'a'.isdigit() }}{{ 'a\nb'.splitlines() }}{{ ('a\nb' | indent(2)) }}",
    "TrueFalse['a', 'b']a\n  b",
  ],
  // Lists and dictionaries.
  ["{% set l = [1] %}{% set _ = l.append(2) %}{{ l }}{{ l.pop() }}{{ l.pop(0) }}{{ l }}", "[1, 2]21[]"],
  ["{{ [3, 1, 2] | min }}{{ [3, 1, 2] | max }}{{ [3, 1] | sum }}{{ [3, 1, 2] | sort }}", "134[1, 2, 3]"],
  [
    "{% for k, v in object.items() %}{{ k }}={{ v }};{% endfor %}",
    "type=string;items={'type': 'integer'};n=1.5;none=None;",
  ],
  ["{{ object['items'].type }}{{ object.items() | length }}{{ object.get('x', 7) }}", "integer47"],
  ["{% for k, v in {512: 'a', 16: 'b'} | dictsort %}{{ k + 1 }}{{ v }}{% endfor %}", "17b513a"],
  ["{{ tools | map(attribute='name') | list }}{{ tools | selectattr('on') | list | length }}", "['b', 'a']1"],
  ["{{ tools | selectattr('name', 'equalto', 'a') | map(attribute='n') | first }}", "10"],
  ["{{ tools | rejectattr('n', 'gt', 5) | map(attribute='name') | join(',') }}", "b"],
  ["{{ (tools | sort(attribute='n', reverse=true))[0].name }}{{ [1, 2, 1] | unique | list }}", "a[1, 2]"],
  [
    "{{ ['a', 'b'] | map('upper') | join }}{{ dict(a=1, **{'b': 2}) }}{{ object | length }}",
    "AB{'a': 1, 'b': 2}4",
  ],
  // JSON and printing.
  ["{{ object | tojson }}", '{"type": "string", "items": {"type": "integer"}, "n": 1.5, "none": null}'],
  [
    "{{ {'b': 1, 'a': [], 'ö': {}} | tojson(indent=2, sort_keys=true) }}",
    '{\n  "a": [],\n  "b": 1,\n  "ö": {}\n}',
  ],
  ["{{ {'ö': [1, 2]} | tojson(ensure_ascii=true, separators=(',', ':')) }}", '{"\\u00f6":[1,2]}'],
  [
    "{{ true }}{{ none }}{{ [true, none, 'a\\'b', \"it's\"] }}{{ 2.0 }}{{ 7 // 2 }}{{ 7 / 2 }}",
    'TrueNone[True, None, "a\'b", "it\'s"]2.033.5',
  ],
  ["{{ {'a': 1} | string | length }}{{ 'x' | default('y') }}{{ nothing | default('y') }}", "8xy"],
  // Statements.
  ["{% for a in [1, 2, 3] %}{{ a }}{% if a == 2 %}{% break %}{% endif %},{% endfor %}", "1,2"],
  ["{% for a in [1, 2, 3] %}{{ a }}{% if a == 2 %}{% continue %}{% endif %},{% endfor %}", "1,23,"],
  [
    "{% for a in [] %}{% else %}none{% endfor %}{% for c in 'ab' %}{{ loop.index }}{{ c }}{% endfor %}",
    "none1a2b",
  ],
  ["{% for a, (b, c) in [[1, [2, 3]]] %}{{ a + b + c }}{{ loop.cycle('x', 'y') }}{% endfor %}", "6x"],
  ["{% macro m(a, b='c') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}", "1c12"],
  ["{% set ns = namespace(n=0) %}{% for a in [1, 2] %}{% set ns.n = ns.n + a %}{% endfor %}{{ ns.n }}", "3"],
  [
    "{% set a, b = (1, 2) %}{{ a }}{{ b }}{% filter upper %}x{{ a }}{% endfilter %}{% set t %}q{% endset %}{{ t }}",
    "12X1q",
  ],
  ["{{ range(3) | list }}{{ range(5, 0, -2) | list }}", "[0, 1, 2][5, 3, 1]"],
  // Comparisons and tests.
  [
    "{{ 1 == '1' }}{{ none == nothing }}{{ [1, [2]] == [1, [2]] }}{{ {'a': 1} == {'a': 1} }}",
    "FalseFalseTrueTrue",
  ],
  [
    "{{ 'a' in 'ba' }}{{ 'type' in object }}{{ 3 in [1, 2] }}{{ 'a' < 'b' }}{{ 2 not in [2] }}",
    "TrueTrueFalseTrueFalse",
  ],
  [
    "{{ object is mapping }}{{ tools is iterable }}{{ true is number }}{{ 1.5 is float }}{{ x is undefined }}",
    "TrueTrueTrueTrueTrue",
  ],
];

describe("the template engine", () => {
  it.each(WRITTEN)("writes %s as jinja2 does", (source, text) => {
    expect(rendered(source, DATA)).toBe(text);
  });

  it.each(WRITTEN)("writes the same of %s where data is marked", (source, text) => {
    expect(MARKING.plain(rendered(source, DATA, MARKING))).toBe(text);
  });

  it("takes what is not there for empty, and nothing for an empty list", () => {
    expect(rendered("{{ nothing }}{{ 'a' + nothing }}{{ nothing.x }}{% for a in none %}x{% endfor %}")).toBe(
      "a",
    );
    expect(rendered("{{ none | selectattr('a') | list }}{{ nothing | trim }}{{ 'a' in nothing }}")).toBe(
      "[]False",
    );
  });

  it.each([
    ["{{ 'a' | nonsense }}", /no filter nonsense/],
    ["{{ 1 is nonsense }}", /no test nonsense/],
    ["{{ nonsense() }}", /nonsense is no function/],
    ["{{ raise_exception('because') }}", /^because$/],
    ["{% for a, b in [[1]] %}{% endfor %}", /unpacks/],
    ["{{ range(1000000000) }}", /at most/],
    ["{{ 'a' | constructor }}", /no filter constructor/],
  ])("refuses %s", (source, message) => {
    expect(() => rendered(source)).toThrow(message);
  });

  it("keeps the marks of what was data, and marks nothing of its own", () => {
    const shown = rendered(
      "<a>{{ word.upper()[6:] | trim }}{{ '<a>' + {'k': word} | tojson }}",
      DATA,
      MARKING,
    );
    const marks = [...shown].map((_, i) => (MARKING.isTwin(shown, i) ? "^" : " ")).join("");
    expect(MARKING.plain(shown)).toBe('<a>OF <B><a>{"k": "Größe of <b>"}');
    expect(marks).toBe("   ^^ ^^^          ^^  ^ ^^ ^^^  ");
  });
});
