import type { Dice } from "./dice.ts";
import type { Task } from "./task.ts";
import { CONTAINERS, capital, PEOPLE, type Person, pronoun, THINGS } from "./words.ts";

/**
 * Arithmetic word problems in steps. All numbers that occur, results included, are whole and from 0 to 99: what a
 * model of a few million parameters can learn to add, take away, multiply and divide.
 */

const MOST = 99;
type Operator = "+" | "-" | "*" | "/";

/** What a problem says, sentence by sentence, and how it is solved, line by line. */
class Solution {
  readonly told: string[] = [];
  readonly lines: string[] = [];

  tell(sentence: string): void {
    this.told.push(sentence);
  }

  /** Adds a line that ends in the equation. @returns its result */
  solve(words: string, left: number, operator: Operator, right: number): number {
    const value = calculate(left, operator, right);
    this.lines.push(`${words}: ${left} ${operator} ${right} = ${value}.`);
    return value;
  }
}

function calculate(left: number, operator: Operator, right: number): number {
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
  }
}

/** A kind of problem: tells it, solves it, asks. @returns the answer */
type Problem = (dice: Dice, solution: Solution) => number;

interface Change {
  /** after "she" or "he", with N for the number */
  readonly told: string;
  readonly solved: string;
}

const GAINS: readonly Change[] = [
  { told: "finds N more", solved: "finding N" },
  { told: "buys N more", solved: "buying N" },
  { told: "gets N from a neighbor", solved: "getting N" },
  { told: "wins N in a game", solved: "winning N" },
  { told: "picks up N more", solved: "picking up N" },
  { told: "receives N by mail", solved: "receiving N" },
  { told: "makes N more", solved: "making N" },
  { told: "gets N more", solved: "getting N" },
  { told: "collects N more", solved: "collecting N" },
];
const LOSSES: readonly Change[] = [
  { told: "gives away N", solved: "giving away N" },
  { told: "loses N", solved: "losing N" },
  { told: "sells N", solved: "selling N" },
  { told: "drops N on the way", solved: "dropping N" },
  { told: "breaks N", solved: "breaking N" },
  { told: "leaves N at school", solved: "leaving N behind" },
  { told: "puts N back", solved: "putting N back" },
  { told: "gives N to a friend", solved: "giving away N" },
  { told: "uses N", solved: "using N" },
];
const NEXT = ["Then", "Later", "After that", "Next"] as const;

const fill = (text: string, count: number) => text.replace("N", String(count));

/** A gain or a loss that keeps within the bounds. */
function change(dice: Dice, value: number): { words: Change; operator: "+" | "-"; by: number } {
  const gain = value < 5 || (value < MOST - 5 && dice.chance(0.5));
  const by = gain ? dice.between(2, Math.min(30, MOST - value)) : dice.between(2, Math.min(30, value - 1));
  return { words: dice.pick(gain ? GAINS : LOSSES), operator: gain ? "+" : "-", by };
}

function oneChange(dice: Dice, solution: Solution, who: Person, value: number, first: boolean): number {
  const { words, operator, by } = change(dice, value);
  const start = first ? capital(pronoun(who)) : `${dice.pick(NEXT)} ${pronoun(who)}`;
  solution.tell(`${start} ${fill(words.told, by)}.`);
  return solution.solve(`After ${fill(words.solved, by)}`, value, operator, by);
}

const chain: Problem = (dice, solution) => {
  const who = dice.pick(PEOPLE);
  const things = dice.pick(THINGS);
  let value = dice.between(6, 80);
  solution.tell(
    dice.pick([
      `${who.name} has ${value} ${things}.`,
      `${who.name} starts with ${value} ${things}.`,
      `In the morning ${who.name} has ${value} ${things}.`,
      `${who.name} owns ${value} ${things}.`,
      `At first ${who.name} has ${value} ${things}.`,
    ]),
  );
  const changes = dice.between(2, 3);
  for (let i = 0; i < changes; i++) value = oneChange(dice, solution, who, value, i === 0);
  solution.tell(
    dice.pick([
      `How many ${things} does ${who.name} have now?`,
      `How many ${things} does ${pronoun(who)} have in the end?`,
      `How many ${things} are left with ${who.name}?`,
      `How many ${things} does ${who.name} have left?`,
      `How many ${things} is that now?`,
    ]),
  );
  return value;
};

/** Two factors whose product is at most `most`. */
function factors(dice: Dice, most: number): [number, number] {
  const left = dice.between(2, 9);
  return [left, dice.between(2, Math.min(12, Math.floor(most / left)))];
}

const packed: Problem = (dice, solution) => {
  const who = dice.pick(PEOPLE);
  const [things, containers] = [dice.pick(THINGS), dice.pick(CONTAINERS)];
  const [count, each] = factors(dice, 96);
  solution.tell(
    dice.pick([
      `${who.name} has ${count} ${containers} with ${each} ${things} in each.`,
      `There are ${count} ${containers} and each holds ${each} ${things}.`,
      `${who.name} fills ${count} ${containers} with ${each} ${things} each.`,
    ]),
  );
  const value = solution.solve(`${capital(things)} in ${count} ${containers}`, count, "*", each);
  if (value < 90 && dice.chance(0.4)) {
    const more = dice.between(2, Math.min(30, MOST - value));
    solution.tell(
      dice.pick([`${more} more ${things} lie on the table.`, `${more} ${things} are left over.`]),
    );
    solution.tell(`How many ${things} are there in all?`);
    return solution.solve(`With ${more} more`, value, "+", more);
  }
  const fewer = dice.between(1, Math.min(30, value - 1));
  solution.tell(
    dice.pick([`${fewer} of them are broken.`, `Somebody takes ${fewer}.`, `${fewer} of them are used up.`]),
  );
  solution.tell(dice.pick([`How many ${things} are left?`, `How many good ${things} remain?`]));
  return solution.solve(`Without ${fewer}`, value, "-", fewer);
};

const compared: Problem = (dice, solution) => {
  const [a, b] = dice.some(PEOPLE, 2) as [Person, Person];
  const things = dice.pick(THINGS);
  const own = dice.between(4, 40);
  const more = dice.chance(0.6);
  const by = more ? dice.between(2, Math.min(19, MOST - 2 * own)) : dice.between(2, own - 1);
  solution.tell(`${a.name} has ${own} ${things}.`);
  solution.tell(`${b.name} has ${by} ${more ? "more" : "fewer"} than ${a.name}.`);
  const other = solution.solve(`${b.name} has`, own, more ? "+" : "-", by);
  solution.tell(
    dice.pick([
      `How many ${things} do they have together?`,
      `How many ${things} do ${a.name} and ${b.name} have in total?`,
    ]),
  );
  return solution.solve("Together", own, "+", other);
};

const timesAsMany: Problem = (dice, solution) => {
  const [a, b] = dice.some(PEOPLE, 2) as [Person, Person];
  const things = dice.pick(THINGS);
  const [times, words] = dice.pick([
    [2, "twice"],
    [3, "three times"],
    [4, "four times"],
  ] as const);
  const own = dice.between(2, Math.floor(MOST / (times + 1)));
  solution.tell(`${a.name} has ${own} ${things}.`);
  solution.tell(`${b.name} has ${words} as many.`);
  const other = solution.solve(`${b.name} has`, own, "*", times);
  solution.tell(`How many ${things} do they have together?`);
  return solution.solve("Together", own, "+", other);
};

const shared: Problem = (dice, solution) => {
  const who = dice.pick(PEOPLE);
  const things = dice.pick(THINGS);
  const [people, each] = factors(dice, 96);
  solution.tell(
    dice.pick([
      `${people} friends share ${people * each} ${things} equally.`,
      `${who.name} deals ${people * each} ${things} out to ${people} children, the same number to each.`,
    ]),
  );
  const value = solution.solve("Each one gets", people * each, "/", people);
  const more = dice.between(2, 20);
  solution.tell(dice.pick([`Then each one gets ${more} more.`, `After that each one finds ${more} more.`]));
  solution.tell(`How many ${things} does each one have?`);
  return solution.solve(`With ${more} more`, value, "+", more);
};

const shopping: Problem = (dice, solution) => {
  const who = dice.pick(PEOPLE);
  const [first, second] = dice.some(THINGS, 2) as [string, string];
  const [countA, priceA] = factors(dice, 48);
  const [countB, priceB] = factors(dice, 48);
  solution.tell(
    `At the shop ${first} cost ${priceA} dollars each and ${second} cost ${priceB} dollars each.`,
  );
  solution.tell(`${who.name} buys ${countA} ${first} and ${countB} ${second}.`);
  solution.tell(
    dice.pick([
      `How much does ${pronoun(who)} pay?`,
      `How much does ${who.name} pay?`,
      `How many dollars does ${who.name} spend?`,
    ]),
  );
  const a = solution.solve(`${capital(first)} cost`, countA, "*", priceA);
  const b = solution.solve(`${capital(second)} cost`, countB, "*", priceB);
  return solution.solve("In total", a, "+", b);
};

const WORK = [
  ["reads", "pages"],
  ["plants", "trees"],
  ["writes", "letters"],
  ["paints", "tiles"],
  ["walks", "miles"],
  ["learns", "words"],
] as const;

const daily: Problem = (dice, solution) => {
  const who = dice.pick(PEOPLE);
  const [verb, things] = dice.pick(WORK);
  const [days, each] = factors(dice, 90);
  solution.tell(`${who.name} ${verb} ${each} ${things} a day for ${days} days.`);
  const value = solution.solve(`In ${days} days`, days, "*", each);
  const more = dice.between(2, Math.min(30, MOST - value));
  solution.tell(
    dice.pick([
      `On the next day ${pronoun(who)} ${verb} ${more} more.`,
      `Then ${pronoun(who)} ${verb} another ${more}.`,
    ]),
  );
  solution.tell(dice.pick([`How many ${things} is that in all?`, `How many ${things} are that together?`]));
  return solution.solve(`With ${more} more`, value, "+", more);
};

const wages: Problem = (dice, solution) => {
  const who = dice.pick(PEOPLE);
  const [days, each] = factors(dice, 96);
  solution.tell(`${who.name} earns ${each} dollars a day and works for ${days} days.`);
  const value = solution.solve(`${who.name} earns`, days, "*", each);
  const spent = dice.between(1, Math.min(40, value - 1));
  const what = dice.pick(["a lamp", "a coat", "a ticket", "a book", "a gift", "dinner", "new shoes"]);
  solution.tell(`${capital(pronoun(who))} spends ${spent} dollars on ${what}.`);
  solution.tell(dice.pick([`How much money is left?`, `How many dollars does ${pronoun(who)} still have?`]));
  return solution.solve("What is left", value, "-", spent);
};

const PROBLEMS: readonly Problem[] = [
  chain,
  chain,
  packed,
  compared,
  timesAsMany,
  shared,
  shopping,
  daily,
  wages,
];

export function mathTask(dice: Dice): Task {
  const solution = new Solution();
  const value = dice.pick(PROBLEMS)(dice, solution);
  const prompt = solution.told.join(" ");
  const answer = [...solution.lines, `Answer: ${value}`].join("\n");
  return { family: "math", prompt, answer, check: { kind: "number", value } };
}

/** Sums without a story, for training only: what makes digits right. */
export function drill(dice: Dice): { prompt: string; answer: string } {
  const lines = Array.from({ length: dice.between(8, 14) }, () => {
    const operator = dice.pick(["+", "+", "+", "-", "-", "-", "*", "*", "/"] as const);
    const [left, right] = operands(dice, operator);
    return `${left} ${operator} ${right} = ${calculate(left, operator, right)}.`;
  });
  const prompt = dice.pick(["Practice sums.", "Write down some calculations.", "Do arithmetic."]);
  return { prompt, answer: lines.join("\n") };
}

const OPERATIONS = {
  "+": ["plus"],
  "-": ["minus"],
  "*": ["times", "multiplied by"],
  "/": ["divided by"],
} as const;

/** One sum, as a user asks it in between: for training only. */
export function sum(dice: Dice): { prompt: string; answer: string } {
  const operator = dice.pick(["+", "-", "*", "/"] as const);
  const [left, right] = operands(dice, operator);
  const signs = `${left} ${operator} ${right}`;
  const words = `${left} ${dice.pick(OPERATIONS[operator])} ${right}`;
  const prompt = dice.pick([
    ...[signs, `${signs} =`, `What is ${signs}?`, `Calculate ${signs}.`],
    ...[`What is ${words}?`, `How much is ${words}?`],
  ]);
  return { prompt, answer: `${signs} = ${calculate(left, operator, right)}.` };
}

function operands(dice: Dice, operator: Operator): [number, number] {
  if (operator === "+") {
    const left = dice.between(1, MOST - 2);
    return [left, dice.between(1, MOST - left)];
  }
  if (operator === "-") {
    const left = dice.between(3, MOST);
    return [left, dice.between(1, left - 1)];
  }
  const [a, b] = factors(dice, 96);
  return operator === "*" ? [a, b] : [a * b, a];
}
