// What `picospec plan` says of race over the cloud alone, and a longer run after it, in three settings. Not a test: it takes some
// minutes of a quiet machine. `npm run build` first; SmolLM2 is fetched as npm run test:real does.
import { spawnSync } from "node:child_process";
import { startCloudProcess } from "../dist/src/cli/cloud-process.js";
import { createEdge } from "../dist/src/node.js";
import { fetchSmolLm2 } from "./smollm2.mjs";

const SECONDS = 90;
const MOST_TOKENS = 120;
const COMPUTE = ["--gpu", "off", "--threads", "1"];
/** What plan asks by default. */
const QUESTION = "Tell me a story about a frog and a lantern.";

/** Race over the cloud alone, from the first token of each answer on: the ratio of the sums of times. */
async function longRun(url, model) {
  const edge = await createEdge({ cloud: url, model, threads: 1, gpu: "off" });
  const ms = { race: 0, cloud: 0 };
  let pairs = 0;
  for (const endMs = performance.now() + 1000 * SECONDS; performance.now() < endMs; pairs++) {
    for (const policy of pairs % 2 ? ["race", "cloud"] : ["cloud", "race"]) {
      const { statistics } = await edge.ask({
        prompt: [{ role: "user", content: QUESTION }],
        seed: pairs + 1,
        sampler: { temperature: 0.7 },
        maxTokens: MOST_TOKENS,
        policy,
      });
      if (pairs > 0) ms[policy] += statistics.lastTokenMs - statistics.firstTokenMs;
    }
  }
  await edge.close();
  return { ratio: ms.cloud / ms.race, pairs };
}

const bundled = ["models/pico-target-q8_0.gguf", "models/pico-drafter-q8_0.gguf"];
const small = await fetchSmolLm2(console.error);
/** Part of a setting's name: that one alone. */
const only = process.argv[2] ?? "";
for (const [name, [target, drafter], args] of [
  ["the bundled pair as it is", bundled, []],
  ["the bundled pair, passes of 100 ms (emulated)", bundled, ["--hardware", "standard"]],
  ["SmolLM2 as target and drafter", [small, small], []],
]) {
  if (!name.includes(only)) continue;
  const { url, stop } = await startCloudProcess(["--model", target, ...args, ...COMPUTE, "--port", "0"]);
  const plan = spawnSync(
    process.execPath,
    ["bin/picospec.js", "plan", "--cloud", url, "--model", drafter, ...COMPUTE, "--json"],
    { encoding: "utf8" },
  );
  if (plan.status !== 0) throw new Error(plan.stderr);
  const { ratio, low, high, verdict } = JSON.parse(plan.stdout).raceOverCloud ?? {};
  const run = await longRun(url, drafter);
  await stop();
  const said =
    ratio === undefined ? "cannot tell" : `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
  const off = ratio === undefined ? "" : `, off by ${(100 * (ratio / run.ratio - 1)).toFixed(0)}%`;
  console.log(
    `${name}: plan says ${said}${verdict === null ? ", cannot tell" : ""}; ${run.pairs} pairs after it ${run.ratio.toFixed(2)}${off}`,
  );
}
