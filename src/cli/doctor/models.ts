import type { PairVerdict } from "../../decoding/vocabulary-pair.ts";
import type { Failure, Outcome } from "../../device/isolation/outcome.ts";
import type { ModelReport } from "../../device/isolation/requests.ts";
import type { Footprint } from "../../engine/llama/footprint.ts";
import type { ModelFile } from "../../engine/llama/gguf.ts";
import { bytesText } from "./bytes.ts";
import { type Check, ok, problem, warning } from "./check.ts";
import type { MemoryFacts } from "./machine.ts";

/** Checks of model files, on facts that come from elsewhere. */

/** As many tokens of context as `cloud` and `run` take at most without being told. */
const USUAL_CONTEXT_TOKENS = 8192;

/** Weights and one sequence; buffers of computation come on top. */
export function neededBytes({ fileBytes, contextTokens, kvBytesPerToken }: Footprint): number {
  return fileBytes + kvBytesPerToken * Math.min(contextTokens, USUAL_CONTEXT_TOKENS);
}

/** @param path as it was given */
export function modelCheck(path: string, facts: Outcome<ModelReport>, memory: MemoryFacts): Check {
  const name = "model";
  if (!facts.ok) return problem(name, facts.failure.message, fileAdvice(facts.failure));
  const { file, footprint } = facts.value;
  const needed = neededBytes(footprint);
  const size = `about ${bytesText(needed)} with one KV slot`;
  const detail = `${path}: ${file.architecture}, tokenizer ${file.fingerprint}, ${size}`;
  const { totalBytes, availableBytes } = memory;
  if (needed > totalBytes) {
    return problem(
      name,
      `${detail}, and the machine has ${bytesText(totalBytes)}`,
      "take a smaller model or quantisation",
    );
  }
  if (needed > availableBytes) {
    const advice = "close what you do not need, take a smaller quantisation, or give a smaller --context";
    return warning(name, `${detail}, and ${bytesText(availableBytes)} is free`, advice);
  }
  if (file.chatTemplate === null) {
    return warning(name, `${detail}, no chat template`, "take an instruction-tuned file, or give --raw");
  }
  return ok(name, detail);
}

function fileAdvice({ code }: Failure): string {
  switch (code) {
    case "no_model":
      return "check the path and the permissions of the file";
    case "not_gguf":
      return "take a GGUF file, or convert the model with llama.cpp's convert_hf_to_gguf.py";
    case "unsupported_model":
      return "take a decoder-only transformer";
    case "no_engine":
    case "engine_version":
      return "see what is said of llama.cpp above";
    default:
      return "download it again, or take a model that llama.cpp of this version knows; PICOSPEC_LLAMA_LOG=1 shows what it says";
  }
}

/** Whether the second can draft for the first. */
export function pairCheck(target: ModelFile, drafter: ModelFile, judged: PairVerdict): Check {
  const both = `${target.name} and ${drafter.name}`;
  if (judged.problem !== null) {
    const advice = "take two models of one family, such as a small and a large one of one release";
    return problem("pair", `${both} cannot be a pair: ${judged.problem}`, advice);
  }
  if (target.identity === drafter.identity)
    return ok("pair", `${both} have one tokenizer: they can be a pair`);
  return ok("pair", `${both} can be a pair, and texts go through the target's tokenizer`);
}

/** @param facts of the target and the drafter that come with the package */
export function bundledCheck(target: Outcome<ModelReport>, drafter: Outcome<ModelReport>): Check {
  const name = "bundled pair";
  for (const facts of [target, drafter]) {
    if (!facts.ok) return problem(name, facts.failure.message, bundledAdvice(facts.failure));
  }
  const [large, small] = [target, drafter].map((facts) => (facts.ok ? facts.value.file : null));
  if (large?.fingerprint !== small?.fingerprint) {
    return problem(name, "the two bundled models have different tokenizers", "install the package anew");
  }
  return ok(name, `${large?.name} and ${small?.name} load`);
}

function bundledAdvice(failure: Failure): string {
  if (failure.code === "no_engine" || failure.code === "engine_version") return fileAdvice(failure);
  return "install the package anew; demo, eval and bench need the bundled pair, and other commands do not";
}
