import { parseArgs } from "node:util";
import type { Grammar } from "../../src/decoding/grammar.ts";
import { loadGrammars } from "../../src/device/grammars.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import type { LlguidanceGrammars } from "../../src/grammar/llguidance/grammars.ts";
import type { GrammarLibrary } from "../../src/grammar/llguidance/library.ts";
import { messageOf } from "../../src/util/errors.ts";
import { draws } from "../support/world.ts";
import { HOSTILE, ORDINARY } from "./cases.ts";

/**
 * What grammars cost on this machine: compiles and masks along random answers, of ordinary ones and of such as are made
 * to cost as much as they can, under the limits of the product. `npm run bench:grammars -- --model FILE`.
 */

const MOST_TOKENS = 200;
const MOST_REASON = 80;

interface Cost {
  compileMs: number;
  masks: number;
  maskMs: number;
  mostMs: number;
  /** Earley items and lexer fuel of the dearest mask */
  items: number;
  fuel: number;
  end: string;
}

/** CPU time of the process, ms: what another program takes meanwhile does not count, what other threads of ours take does. */
function now(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** @returns the exit status */
export async function benchGrammars(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string", default: "models/pico-target-q8_0.gguf" },
      walks: { type: "string", default: "3" },
    },
  });
  const model = await LlamaModel.load(values.model, { gpu: "off" });
  const tokenizer = new LlamaTokenizer(model);
  const ends = new Set(tokenizer.endTokens());
  const started = now();
  const grammars = await loadGrammars(tokenizer, [...ends]);
  const readMs = (now() - started).toFixed(0);
  console.log(
    `${model.file.name}: ${tokenizer.vocabularySize} tokens, read in ${readMs} ms. CPU time throughout.`,
  );
  console.log(columns(["grammar", "compile ms", "masks", "mean ms", "most ms", "items", "fuel", "ended by"]));
  let worst = 0;
  for (const [title, all] of Object.entries({ ordinary: ORDINARY, hostile: HOSTILE })) {
    console.log(`-- ${title}`);
    for (const [name, grammar] of Object.entries(all)) {
      const cost = measure(grammars, grammar, ends, Number(values.walks));
      worst = Math.max(worst, cost.compileMs, cost.mostMs);
      console.log(row(name, cost));
    }
  }
  const megabytes = (grammars.load.bytes / 2 ** 20).toFixed(0);
  console.log(`the longest compile or mask took ${worst.toFixed(0)} ms; the library has ${megabytes} MiB`);
  model.close();
  return 0;
}

function measure(
  grammars: LlguidanceGrammars,
  grammar: Grammar,
  ends: ReadonlySet<number>,
  walks: number,
): Cost {
  const cost: Cost = { compileMs: 0, masks: 0, maskMs: 0, mostMs: 0, items: 0, fuel: 0, end: "" };
  const started = now();
  try {
    const matcher = grammars.matcher(grammar);
    cost.compileMs = now() - started;
    try {
      for (let seed = 1; seed <= walks; seed++) walk(matcher, ends, seed, cost);
    } finally {
      matcher.close();
    }
  } catch (error) {
    if (cost.masks === 0) cost.compileMs = now() - started;
    cost.end = messageOf(error).slice(0, MOST_REASON);
  }
  return cost;
}

/** A random answer. */
function walk(
  matcher: ReturnType<LlguidanceGrammars["matcher"]>,
  ends: ReadonlySet<number>,
  seed: number,
  cost: Cost,
): void {
  const random = draws(seed);
  const answer: number[] = [];
  // What a mask took is the library's to say.
  const inside = matcher as unknown as { place: { library(): GrammarLibrary }; held: { handle: number } };
  while (answer.length < MOST_TOKENS) {
    const started = now();
    const set = matcher.allowed(answer, 0, answer.length);
    const ms = now() - started;
    const { items, fuel } = inside.place.library().stepCost(inside.held.handle);
    cost.masks++;
    cost.maskMs += ms;
    cost.mostMs = Math.max(cost.mostMs, ms);
    cost.items = Math.max(cost.items, items);
    cost.fuel = Math.max(cost.fuel, fuel);
    const all = set ? tokensOf(set).filter((token) => !ends.has(token)) : [];
    if (all.length === 0) return;
    answer.push(all[Math.floor(random() * all.length)]!);
  }
}

function tokensOf(set: Int32Array): number[] {
  const tokens: number[] = [];
  for (let word = 0; word < set.length; word++) {
    for (let bits = set[word]!; bits !== 0; bits &= bits - 1)
      tokens.push(word * 32 + 31 - Math.clz32(bits & -bits));
  }
  return tokens;
}

function row(name: string, { compileMs, masks, maskMs, mostMs, items, fuel, end }: Cost): string {
  const mean = (maskMs / Math.max(1, masks)).toFixed(2);
  return columns([name, compileMs.toFixed(1), masks, mean, mostMs.toFixed(1), items, fuel, end]);
}

function columns(cells: readonly (string | number)[]): string {
  const [name, ...rest] = cells;
  const end = rest.pop();
  return [String(name).padEnd(24), ...rest.map((cell) => String(cell).padStart(10)), `  ${end}`]
    .join(" ")
    .trimEnd();
}
