import { loop, type Maker } from "./code-kind.ts";
import { capital } from "./words.ts";

/** Functions about texts and lists of texts. */

const WORD_LISTS = [[["kite", "moon", "a"]], [["river", "Oak", "at", "lantern"]], [["one"]]] as const;
const WORDS = [["river"], ["Level"], [""], ["a b c"]] as const;

const turnAround: Maker = ({ text }) => ({
  verbs: ["reverse", "turn", "flip"],
  nameEnd: capital(text),
  does: [`reverses the ${text}`, `returns the ${text} backwards`],
  parameters: `${text}: string`,
  returns: "string",
  bodies: [
    [`return ${text}.split("").reverse().join("");`],
    ['let back = "";', `for (const letter of ${text}) back = letter + back;`, "return back;"],
  ],
  inputs: WORDS,
  reference: (word: string) => [...word].reverse().join(""),
});

const mirrored: Maker = ({ text }) => ({
  verbs: ["is"],
  nameEnd: `Palindrome${capital(text)}`,
  does: [`checks whether the ${text} reads the same backwards`],
  parameters: `${text}: string`,
  returns: "boolean",
  bodies: [[`const back = ${text}.split("").reverse().join("");`, `return ${text} === back;`]],
  inputs: [["level"], ["river"], [""], ["abba"]],
  reference: (word: string) => word === [...word].reverse().join(""),
});

const vowels: Maker = ({ text }) => ({
  verbs: ["countVowels", "vowels"],
  nameEnd: `In${capital(text)}`,
  does: [`counts the vowels in the ${text}`, `returns how many vowels the ${text} has`],
  parameters: `${text}: string`,
  returns: "number",
  bodies: [
    ["let count = 0;", ...loop("letter", text, 'if ("aeiou".includes(letter)) count++;'), "return count;"],
  ],
  inputs: [["river"], ["sky"], [""], ["banana"]],
  reference: (word: string) => [...word].filter((letter) => "aeiou".includes(letter)).length,
});

const letterCase: Maker = ({ text }, dice) => {
  const [words, method, verbs] = dice.pick([
    ["upper case", "toUpperCase", ["shout", "upper"]],
    ["lower case", "toLowerCase", ["whisper", "lower"]],
  ] as const);
  return {
    verbs,
    nameEnd: capital(text),
    does: [`turns the ${text} into ${words}`, `returns the ${text} in ${words}`],
    parameters: `${text}: string`,
    returns: "string",
    bodies: [[`return ${text}.${method}();`]],
    inputs: WORDS,
    reference: (word: string) => word[method](),
  };
};

const joinAll: Maker = ({ texts }, dice) => {
  const [mark, words] = dice.pick([
    [", ", "commas"],
    ["-", "dashes"],
    [" ", "spaces"],
    ["/", "slashes"],
  ] as const);
  return {
    verbs: ["join", "connect"],
    nameEnd: capital(texts),
    does: [`joins the ${texts} with ${words}`],
    parameters: `${texts}: string[]`,
    returns: "string",
    bodies: [[`return ${texts}.join("${mark}");`]],
    inputs: WORD_LISTS,
    reference: (list: string[]) => list.join(mark),
  };
};

const repeatIt: Maker = ({ text }) => ({
  verbs: ["repeat", "copy"],
  nameEnd: capital(text),
  does: [`repeats the ${text} a given number of times`],
  parameters: `${text}: string, times: number`,
  returns: "string",
  bodies: [
    [`return ${text}.repeat(times);`],
    ['let out = "";', `for (let i = 0; i < times; i++) out += ${text};`, "return out;"],
  ],
  inputs: [
    ["ab", 3],
    ["x", 0],
    ["go", 1],
  ],
  reference: (word: string, times: number) => word.repeat(times),
});

const longest: Maker = ({ texts, text }) => ({
  verbs: ["longest", "findLongest"],
  nameEnd: capital(text),
  does: [`returns the longest of the ${texts}`, `finds the longest ${text}`],
  parameters: `${texts}: string[]`,
  returns: "string",
  bodies: [
    [
      'let best = "";',
      ...loop(text, texts, `if (${text}.length > best.length) best = ${text};`),
      "return best;",
    ],
  ],
  inputs: WORD_LISTS,
  reference: (list: string[]) => list.reduce((best, word) => (word.length > best.length ? word : best), ""),
});

const startWith: Maker = ({ text }, dice) => {
  const prefix = dice.pick(["new", "old", "my", "top", "big", "pre"]);
  return {
    verbs: ["prefix", "mark"],
    nameEnd: capital(text),
    does: [`puts "${prefix}" in front of the ${text}`],
    parameters: `${text}: string`,
    returns: "string",
    bodies: [[`return "${prefix}" + ${text};`], [`return \`${prefix}\${${text}}\`;`]],
    inputs: WORDS,
    reference: (word: string) => prefix + word,
  };
};

export const TEXT_KINDS: readonly Maker[] = [
  turnAround,
  mirrored,
  vowels,
  letterCase,
  joinAll,
  repeatIt,
  longest,
  startWith,
];
