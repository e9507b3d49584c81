import { feedPrompt, passOver } from "../../lab/bench/bare-loop.ts";
import { keepToCpus } from "../device/cpus.ts";
import { LlamaModel } from "../engine/llama/model.ts";
import { llamaTargetModel } from "../engine/llama/models.ts";
import { toSeed } from "../sampling/random.ts";
import { samplerSettings } from "../sampling/settings.ts";

/** A process that decodes with a model, token after token, until its parent ends: what the other side of a pair does. */

const [file, cpus] = process.argv.slice(2);
const CONTEXT_TOKENS = 256;
const PROMPT_TOKENS = 64;
const WARM_PASSES = 20;

if (cpus) keepToCpus(cpus);
process.on("disconnect", () => process.exit(0));
const model = await LlamaModel.load(file!, { gpu: "off" });
const engine = await llamaTargetModel(model, { kvSlots: 1, threads: 1, contextTokens: CONTEXT_TOKENS });
const sampler = samplerSettings({ temperature: 0.7 });
const prompt = Array.from({ length: PROMPT_TOKENS }, (_, i) => (31 * i + 7) % engine.info.vocabularySize);
const row = { tokens: prompt, seed: toSeed(1), slot: 0 };
await feedPrompt(engine, row);
for (let pass = 0; process.connected; pass++) {
  await passOver(engine, row, [], sampler);
  if (pass === WARM_PASSES) process.send?.("busy");
}
