#!/usr/bin/env node
/** The one command of the recipe: corpus, tokenizer, training of both models, files for llama.cpp. See README.md. */
import { spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const sizes = JSON.parse(readFileSync(here("sizes.json"), "utf8"));
const STEPS = ["corpus", "tokenizer", "target", "drafter", "export"];
/** Debian's PyTorch belongs to the system's own Python, which need not be the first one found. */
const PYTHONS = process.env.PYTHON ? [process.env.PYTHON] : ["python3", "/usr/bin/python3"];

const oneOf = (choices) => (value) => {
  if (!choices.includes(value)) throw new InvalidArgumentError(`It is one of: ${choices.join(", ")}.`);
  return value;
};
const wholeNumber = (value) => {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number > 2 ** 32 - 3) throw new InvalidArgumentError("It is a whole number.");
  return number;
};
const { out, size, seed, only, resume } = new Command()
  .name("node models/recipe/make.mjs")
  .description("Makes a pair of models from a seed: hours on 2 CPU cores at full size.")
  .requiredOption("--out <folder>", "folder for everything that is made")
  .option(
    "--size <size>",
    `size of models and training: ${Object.keys(sizes).join(", ")}`,
    oneOf(Object.keys(sizes)),
    "full",
  )
  .option("--seed <n>", "seed of text and training", wholeNumber, 1)
  .option("--only <step>", `one step: ${STEPS.join(", ")}`, oneOf(STEPS))
  .option("--resume", "go on behind the last finished stage of a training that broke off")
  .parse()
  .opts();

const { corpus } = await import("./corpus.mjs").catch((error) => {
  fail(`the generator is not built (${error.message}); run npm ci first`);
});
mkdirSync(out, { recursive: true });
const wanted = (step) => only === undefined || only === step;
if (wanted("corpus")) {
  for (const [split, count] of [
    ["training", sizes[size].conversations],
    ["held-out", sizes[size].heldOut],
  ]) {
    await pipeline(Readable.from(corpus(seed, count, split)), createWriteStream(join(out, `${split}.jsonl`)));
    console.log(`${split}: ${count} conversations`);
  }
}
if (only !== "corpus") {
  const step = only === undefined ? [] : ["--only", only];
  const more = resume ? ["--resume"] : [];
  const args = [here("recipe.py"), out, "--size", size, "--seed", String(seed), ...step, ...more];
  const { status } = spawnSync(pythonWithTorch(), args, { stdio: "inherit" });
  if (status !== 0) fail("it stopped before the end");
}

function pythonWithTorch() {
  const able = PYTHONS.find((python) => spawnSync(python, ["-c", "import torch, numpy"]).status === 0);
  return (
    able ??
    fail(
      `no PyTorch in ${PYTHONS.join(" or ")}; run models/recipe/setup.sh (Debian), or set PYTHON to one that has it`,
    )
  );
}

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}
