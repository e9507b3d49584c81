/** A user's program, for the tests of the package: an edge and a cloud in memory, without anything of Node. */
import {
  Cloud,
  connectEdge,
  Edge,
  memoryPair,
  ParallelDrafter,
  policyNamed,
  ToyDraftModel,
  ToyPassEngine,
  toSeed,
  VirtualClock,
} from "picospec";

const language = {
  ...{ seed: toSeed(4), vocabularySize: 26, order: 3, spread: 5, divergence: 3 },
  contextTokens: 120,
};
/** Token t is the letter t. */
const tokenizer = {
  ...{ fingerprint: "letters", vocabularySize: 26, beginText: "", endText: "", addsBegin: false },
  encode: (text: string) => Int32Array.from(text, (letter) => letter.charCodeAt(0) - 97),
  piece: (token: number) => Uint8Array.of(97 + token),
};
const MOST_TURNS = 100_000;

/** The text that a prompt is answered with. */
export async function answer(): Promise<string> {
  const clock = new VirtualClock();
  const cloud = new Cloud({
    model: new ToyPassEngine(language, clock, { kvSlots: 2 }),
    description: { name: "toy", fingerprint: "letters", endTokens: [], chatTemplate: null },
    clock,
    server: "consumer",
  });
  const [transport, far] = memoryPair(clock);
  cloud.accept(far);
  const drafter = new ParallelDrafter(new ToyDraftModel(language, clock));
  const link = connectEdge({ transport, tokenizer, drafter, clock, client: "consumer" });
  const edge = new Edge({
    ...{ remote: await turned(clock, link), local: null, tokenizer, chatTemplate: null },
    freshSeed: () => toSeed(1),
    policy: policyNamed("race"),
  });
  const { text } = await turned(clock, edge.ask({ prompt: "hello", maxTokens: 40, seed: 7 }));
  await turned(clock, edge.close());
  return text;
}

/** Turns the clock until something is done. */
async function turned<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let pending = true;
  const over = () => {
    pending = false;
  };
  work.then(over, over);
  for (let turns = 0; pending; turns++) {
    if (turns > MOST_TURNS) throw new Error(`not done after ${MOST_TURNS} turns of the clock`);
    clock.step();
    await Promise.resolve();
  }
  return work;
}
