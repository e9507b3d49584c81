import { loop, type Maker, NUMBERS } from "./code-kind.ts";
import { capital } from "./words.ts";

/** Functions about numbers and lists of numbers. */

const LISTS = [[[]], [[7]], [[4, 9, 1, 7]], [[50, 2, 88, 31, 2]], [[-3, 0, 12]]] as const;
const FILLED = LISTS.slice(1);
const sumUp: Maker = ({ numbers, item }) => ({
  verbs: ["sum", "add", "total"],
  nameEnd: capital(numbers),
  does: [`adds up all ${numbers}`, `returns the sum of the ${numbers}`],
  parameters: `${numbers}: number[]`,
  returns: "number",
  bodies: [
    ["let sum = 0;", ...loop(item, numbers, `sum += ${item};`), "return sum;"],
    [`return ${numbers}.reduce((sum, ${item}) => sum + ${item}, 0);`],
  ],
  inputs: LISTS,
  reference: (list: number[]) => list.reduce((a, b) => a + b, 0),
});

const extreme: Maker = ({ numbers, number, item }, dice) => {
  const [word, sign, method] = dice.pick([
    ["largest", ">", "max"],
    ["smallest", "<", "min"],
  ] as const);
  return {
    verbs: [word, method, `find${capital(word)}`],
    nameEnd: capital(number),
    does: [`returns the ${word} of the ${numbers}`, `finds the ${word} ${number}`],
    parameters: `${numbers}: number[]`,
    returns: "number",
    bodies: [
      [
        `let best = ${numbers}[0];`,
        ...loop(item, numbers, `if (${item} ${sign} best) best = ${item};`),
        "return best;",
      ],
      [`return Math.${method}(...${numbers});`],
    ],
    inputs: FILLED,
    reference: (list: number[]) => Math[method](...list),
  };
};

const average: Maker = ({ numbers, number, item }) => ({
  verbs: ["average", "mean"],
  nameEnd: capital(number),
  does: [`returns the average of the ${numbers}`, `computes the mean ${number}`],
  parameters: `${numbers}: number[]`,
  returns: "number",
  bodies: [
    ["let sum = 0;", ...loop(item, numbers, `sum += ${item};`), `return sum / ${numbers}.length;`],
    [`const sum = ${numbers}.reduce((a, b) => a + b, 0);`, `return sum / ${numbers}.length;`],
  ],
  inputs: FILLED,
  reference: (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length,
});

const COMPARISONS = [
  [">", "greater than", (a: number, b: number) => a > b],
  ["<", "less than", (a: number, b: number) => a < b],
  [">=", "at least", (a: number, b: number) => a >= b],
  ["<=", "at most", (a: number, b: number) => a <= b],
] as const;

const around = (bound: number) => [[[bound - 1, bound, bound + 1]], [[]], [[0, 100, bound]]];

const countThose: Maker = ({ numbers, item, bound }, dice) => {
  const [sign, words, holds] = dice.pick(COMPARISONS);
  return {
    verbs: ["count", "countAll"],
    nameEnd: capital(numbers),
    does: [
      `counts the ${numbers} that are ${words} ${bound}`,
      `returns how many ${numbers} are ${words} ${bound}`,
    ],
    parameters: `${numbers}: number[]`,
    returns: "number",
    bodies: [
      ["let count = 0;", ...loop(item, numbers, `if (${item} ${sign} ${bound}) count++;`), "return count;"],
      [`return ${numbers}.filter((${item}) => ${item} ${sign} ${bound}).length;`],
    ],
    inputs: around(bound),
    reference: (list: number[]) => list.filter((x) => holds(x, bound)).length,
  };
};

const keepThose: Maker = ({ numbers, item, bound }, dice) => {
  const [sign, words, holds] = dice.pick(COMPARISONS);
  return {
    verbs: ["keep", "filter", "select"],
    nameEnd: capital(numbers),
    does: [`keeps the ${numbers} that are ${words} ${bound}`, `returns only ${numbers} ${words} ${bound}`],
    parameters: `${numbers}: number[]`,
    returns: "number[]",
    bodies: [
      [`return ${numbers}.filter((${item}) => ${item} ${sign} ${bound});`],
      [
        "const kept: number[] = [];",
        ...loop(item, numbers, `if (${item} ${sign} ${bound}) kept.push(${item});`),
        "return kept;",
      ],
    ],
    inputs: around(bound),
    reference: (list: number[]) => list.filter((x) => holds(x, bound)),
  };
};

const changeAll: Maker = ({ numbers, number, item, bound }, dice) => {
  const [sign, words, apply] = dice.pick([
    ["+", `adds ${bound} to every ${number}`, (x: number) => x + bound],
    ["-", `subtracts ${bound} from every ${number}`, (x: number) => x - bound],
    ["*", `multiplies every ${number} by ${bound}`, (x: number) => x * bound],
  ] as const);
  return {
    verbs: ["change", "update", "map"],
    nameEnd: capital(numbers),
    does: [words],
    parameters: `${numbers}: number[]`,
    returns: "number[]",
    bodies: [
      [`return ${numbers}.map((${item}) => ${item} ${sign} ${bound});`],
      [
        "const changed: number[] = [];",
        ...loop(item, numbers, `changed.push(${item} ${sign} ${bound});`),
        "return changed;",
      ],
    ],
    inputs: LISTS,
    reference: (list: number[]) => list.map(apply),
  };
};

const parity: Maker = ({ number }, dice) => {
  const [word, remainder] = dice.pick([
    ["even", 0],
    ["odd", 1],
  ] as const);
  return {
    verbs: ["is", "hasA"],
    nameEnd: `${capital(word)}${capital(number)}`,
    does: [`checks whether the ${number} is ${word}`, `returns true if a ${number} is ${word}`],
    parameters: `${number}: number`,
    returns: "boolean",
    bodies: [[`return ${number} % 2 === ${remainder};`]],
    inputs: [[4], [7], [0], [31]],
    reference: (x: number) => x % 2 === remainder,
  };
};

const limit: Maker = ({ number }, dice) => {
  const low = dice.between(0, 40);
  const high = low + dice.between(5, 50);
  return {
    verbs: ["limit", "clamp", "bound"],
    nameEnd: capital(number),
    does: [
      `limits the ${number} to the range from ${low} to ${high}`,
      `keeps a ${number} between ${low} and ${high}`,
    ],
    parameters: `${number}: number`,
    returns: "number",
    bodies: [
      [
        `if (${number} < ${low}) return ${low};`,
        `if (${number} > ${high}) return ${high};`,
        `return ${number};`,
      ],
      [`return Math.min(${high}, Math.max(${low}, ${number}));`],
    ],
    inputs: [[low - 1], [low + 2], [high + 1], [high]],
    reference: (x: number) => Math.min(high, Math.max(low, x)),
  };
};

const combine: Maker = ({ number }, dice) => {
  const other = dice.pick(NUMBERS.filter((name) => name !== number));
  const [sign, words, verb, apply] = dice.pick([
    ["+", "sum", "add", (a: number, b: number) => a + b],
    ["-", "difference", "subtract", (a: number, b: number) => a - b],
    ["*", "product", "multiply", (a: number, b: number) => a * b],
  ] as const);
  return {
    verbs: [verb, words],
    nameEnd: `${capital(number)}And${capital(other)}`,
    does: [`returns the ${words} of a ${number} and a ${other}`],
    parameters: `${number}: number, ${other}: number`,
    returns: "number",
    bodies: [
      [`return ${number} ${sign} ${other};`],
      [`const ${words} = ${number} ${sign} ${other};`, `return ${words};`],
    ],
    inputs: [
      [3, 4],
      [10, -2],
      [0, 9],
    ],
    reference: apply,
  };
};

const countUp: Maker = ({ numbers }, dice) => {
  const first = dice.pick([0, 1]);
  return {
    verbs: ["range", "list", "make"],
    nameEnd: capital(numbers),
    does: [
      `returns the ${numbers} from ${first} up to a limit`,
      `lists all ${numbers} from ${first} to the limit`,
    ],
    parameters: "limit: number",
    returns: "number[]",
    bodies: [
      ["const list: number[] = [];", `for (let i = ${first}; i <= limit; i++) list.push(i);`, "return list;"],
    ],
    inputs: [[4], [1], [9]],
    reference: (most: number) => Array.from({ length: most - first + 1 }, (_, i) => i + first),
  };
};

const order: Maker = ({ numbers }, dice) => {
  const [words, body, sign] = dice.pick([
    ["ascending", "a - b", 1],
    ["descending", "b - a", -1],
  ] as const);
  return {
    verbs: ["sort", "order"],
    nameEnd: capital(numbers),
    does: [`sorts the ${numbers} in ${words} order`, `returns the ${numbers} in ${words} order`],
    parameters: `${numbers}: number[]`,
    returns: "number[]",
    bodies: [[`return [...${numbers}].sort((a, b) => ${body});`]],
    inputs: LISTS,
    reference: (list: number[]) => [...list].sort((a, b) => sign * (a - b)),
  };
};

const unique: Maker = ({ numbers, item }) => ({
  verbs: ["unique", "distinct"],
  nameEnd: capital(numbers),
  does: [`removes duplicate ${numbers}`, `returns each of the ${numbers} once`],
  parameters: `${numbers}: number[]`,
  returns: "number[]",
  bodies: [
    [`return [...new Set(${numbers})];`],
    [
      "const seen: number[] = [];",
      ...loop(item, numbers, `if (!seen.includes(${item})) seen.push(${item});`),
      "return seen;",
    ],
  ],
  inputs: [[[1, 2, 1, 3]], [[]], [[5, 5]]],
  reference: (list: number[]) => [...new Set(list)],
});

export const NUMBER_KINDS: readonly Maker[] = [
  sumUp,
  extreme,
  average,
  countThose,
  keepThose,
  changeAll,
  parity,
  limit,
  combine,
  countUp,
  order,
  unique,
];
