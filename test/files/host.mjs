// A process that opens many damaged files, one after the other, as programs do that use the library: see attack.ts.
// Argument: "checked", or "unchecked" for the control, in which it may well end.
import { readFile } from "node:fs/promises";
import { memoryFacts, modelFacts } from "../../dist/src/cli/doctor/facts.js";
import { modelCheck } from "../../dist/src/cli/doctor/models.js";
import { cloudTokenizer, loadDrafter } from "../../dist/src/device/drafter.js";
import { readModelFile } from "../../dist/src/engine/llama/gguf.js";
import {
  createCloud,
  createEdge,
  PicoSpecError,
  serveCloud,
  systemClock,
  ToyPassEngine,
  toSeed,
} from "../../dist/src/node.js";

const unchecked = process.argv[2] === "unchecked";
const LANGUAGE = {
  ...{ seed: toSeed(1), vocabularySize: 2048, order: 3, spread: 6 },
  ...{ divergence: 2, contextTokens: 4000 },
};
const QUESTION = [{ role: "user", content: "Größe? 7 * 8, 漢字 and \u{1F600}\u0000 <|end|>!" }];
const CHARACTERS = 300;

/** Text of any characters, from a number. */
function strangeText(number) {
  let state = number + 1;
  const codes = Array.from({ length: CHARACTERS }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const most = [0x80, 0x800, 0x1_0000, 0x11_0000][state >>> 30];
    return (state >>> 3) % most;
  });
  return String.fromCodePoint(...codes);
}

async function doctor(file) {
  const facts = await modelFacts(file, new AbortController().signal);
  const { status, detail } = modelCheck(file, facts, memoryFacts());
  return { status, detail };
}

/** Asks what it can of an edge, and ends it. */
async function use(edge, number) {
  try {
    const { tokens } = await edge.ask({
      prompt: QUESTION,
      maxTokens: 8,
      seed: 1,
      sampler: { temperature: 1 },
    });
    edge.tokenizer.encode(strangeText(number), true);
    return `${tokens.length > 0 ? "some" : "no"} tokens`;
  } finally {
    await edge.close();
  }
}

const gpu = "off";
const WAYS = {
  edge: async (file, number) => use(await createEdge({ model: file, threads: 1, gpu }), number),
  async cloud(file, number) {
    const cloud = await createCloud({ model: file, port: 0, threads: 1, gpu, kvSlots: 2 });
    try {
      return await use(await createEdge({ cloud: cloud.url, drafter: "lookup" }), number);
    } finally {
      await cloud.close();
    }
  },
  /** The file is what a cloud sends, and there is an edge without a model. */
  async tokenizer(file, number) {
    // An edge takes no tokenizer that is another than the cloud says.
    const { fingerprint } = await readModelFile(file).catch(() => ({ fingerprint: "toy" }));
    const server = await serveCloud({
      model: new ToyPassEngine(LANGUAGE, systemClock, { kvSlots: 2 }),
      description: { name: "toy", fingerprint, endTokens: [], chatTemplate: null },
      ...{ port: 0, server: "attacker", tokenizer: new Uint8Array(await readFile(file)) },
    });
    try {
      return await use(await createEdge({ cloud: server.url, drafter: "lookup" }), number);
    } finally {
      await server.close();
    }
  },
};

/** Without the check; of an edge what it takes to end the process. */
async function uncheckedUse(way, file, number) {
  const check = async () => {};
  const bytes = new Uint8Array(await readFile(file));
  const loaded =
    way === "tokenizer"
      ? await cloudTokenizer({ target: {}, requestTokenizer: (done) => done(null, bytes) }, check)
      : await loadDrafter({ file, threads: 1, gpu, hardware: null, check });
  try {
    for (const text of [QUESTION[0].content, strangeText(number)]) loaded.tokenizer.encode(text, true);
    return "loaded";
  } finally {
    loaded.close();
  }
}

process.on("message", async ({ number, way, file }) => {
  const report = { number, way, doctor: null, end: "", typed: true, message: "" };
  try {
    if (way === "edge" && !unchecked) report.doctor = await doctor(file);
    report.end = await (unchecked ? uncheckedUse(way, file, number) : WAYS[way](file, number));
  } catch (error) {
    report.typed = error instanceof PicoSpecError;
    report.end = report.typed ? error.code : error.name;
    report.message = String(error.stack).slice(0, 600);
  }
  process.send(report);
});
process.on("disconnect", () => process.exit(0));
