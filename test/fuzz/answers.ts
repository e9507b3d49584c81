import { Cloud } from "../../src/cloud/driver.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import { CloudError } from "../../src/edge/connection.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { Edge } from "../../src/edge/edge.ts";
import { LocalOpener } from "../../src/edge/local-opener.ts";
import { RemoteOpener } from "../../src/edge/opener.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { ToyPassEngine } from "../../src/engine/toy/pass-engine.ts";
import { wireLink } from "../../src/protocol/link.ts";
import { toSeed } from "../../src/sampling/random.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import { VirtualClock } from "../../src/util/virtual-clock.ts";
import { draws } from "../support/world.ts";
import { picker } from "./faults.ts";
import { hold, holdIntegrity } from "./hold.ts";

/**
 * Answers of an `Edge`, from its cloud and from its small model alone, which the worlds of sessions do not meet: some
 * are ended early, and some openers are closed under them. Owners check themselves after every event.
 */

const LANGUAGE: ToyLanguage = {
  seed: toSeed(4),
  vocabularySize: 26,
  order: 3,
  spread: 5,
  divergence: 3,
  contextTokens: 120,
};
/** Token t is the letter t. */
const TOKENIZER: Tokenizer = {
  fingerprint: "letters",
  vocabularySize: 26,
  beginText: "",
  endText: "",
  addsBegin: false,
  encode: (text) => Int32Array.from(text, (letter) => letter.charCodeAt(0) - 97),
  piece: (token) => Uint8Array.of(97 + token),
};
const MOST_ANSWERS = 4;
const MOST_TOKENS = 20;

/** @throws Broken when something does not hold */
export async function tryAnswers(seed: number): Promise<void> {
  const random = draws(seed + 0x2_0000_0000);
  const pick = picker(random);
  const clock = new VirtualClock();
  const drafter = new ParallelDrafter(new ToyDraftModel(LANGUAGE, clock));
  const remote = remoteOpener(clock, drafter);
  while (!remote.ready) clock.step();
  const local = new LocalOpener({
    ...{ drafter, name: "small", endTokens: [0], chatTemplate: null, grammars: null, clock },
  });
  const edge = new Edge({
    ...{ remote: remote.opener, local, tokenizer: TOKENIZER, chatTemplate: null },
    freshSeed: () => toSeed(seed),
    policy: POLICIES.edge,
  });
  const answers = Array.from({ length: pick(1, 2, MOST_ANSWERS) }, async (_, i) => {
    const ends = random() < 0.3 ? new AbortController() : null;
    if (ends) clock.schedule(10 * random(), () => ends.abort());
    const request = {
      ...{
        prompt: "abc"[i % 3]!,
        maxTokens: 1 + Math.floor(MOST_TOKENS * random()),
        seed: toSeed(seed * 8 + i),
      },
      policy: random() < 0.5 ? POLICIES.edge : pick(POLICIES.picospec, POLICIES.race),
    };
    return edge.ask({ ...request, ...(ends ? { signal: ends.signal } : {}) }).catch((error: unknown) => {
      // It was asked only when its opener was closed already.
      if (!(error instanceof CloudError) || error.code !== "closed") throw error;
    });
  });
  const check = () => holdIntegrity("edge", () => edge.checkIntegrity());
  const settled = Promise.all(answers).then(() => {});
  const over = { value: false };
  const watched = settled.finally(() => {
    over.value = true;
  });
  watched.catch(() => {});
  for (let left = random() < 0.5 ? Math.floor(40 * random()) : Number.POSITIVE_INFINITY; left > 0; left--) {
    await turn();
    check();
    if (over.value || !clock.step()) break;
  }
  local.close();
  await turn();
  check();
  const closing = { done: false };
  void edge.close().then(() => {
    closing.done = true;
  });
  await turn();
  while (!closing.done && clock.step()) await turn();
  hold(closing.done, "rest", () => "an answer goes on though its edge was closed");
  await watched;
  holdIntegrity("edge", () => edge.checkIntegrity(true));
}

/** Lets what waits on promises go on; virtual time stands still. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function remoteOpener(clock: VirtualClock, drafter: ParallelDrafter) {
  const cloud = new Cloud({
    model: new ToyPassEngine(LANGUAGE, clock, { kvSlots: 4 }),
    description: { name: "toy", fingerprint: "letters", endTokens: [0], chatTemplate: null },
    clock,
    server: "fuzz",
  });
  const [near, far] = memoryPair(clock);
  cloud.accept(far);
  const state = { ready: false };
  const opener = new RemoteOpener({
    ...{ link: wireLink(near), reconnect: null, reconnectWithinMs: 0, secret: null, fingerprint: "letters" },
    ...{ drafter, clock, client: "fuzz" },
    ready: (error) => {
      if (error) throw error;
      state.ready = true;
    },
  });
  return {
    opener,
    get ready() {
      return state.ready;
    },
  };
}
