import { dirname, join } from "node:path";
import { Argument, Command, Option } from "commander";
import type { PairVerdict } from "../decoding/vocabulary-pair.ts";
import { hubOptions } from "../device/model-file.ts";
import { judgeFiles, type ModelDetails, readModelDetails } from "../engine/llama/details.ts";
import { HubError } from "../hub/errors.ts";
import { hubNameText, isHubName, parseHubName } from "../hub/name.ts";
import { bytesText, partsOf, quantisationOf } from "../hub/pick.ts";
import { cachedModel, removeModel } from "../hub/pull.ts";
import { type CachedModel, cachedModels } from "../hub/store.ts";
import { SettingError } from "../util/errors.ts";
import { MODEL, pull } from "./model-path.ts";
import { table } from "./output.ts";
import { wrapped } from "./text.ts";

interface ModelsValues {
  readonly json?: true;
}

const ACTIONS = ["list", "pull", "rm", "info"] as const;
type Action = (typeof ACTIONS)[number];

/** Fewest and most models that each action takes. */
const COUNTS: Record<Action, readonly [number, number]> = {
  list: [0, 0],
  pull: [1, 1],
  rm: [1, 1],
  info: [1, 2],
};

export function modelsCommand(): Command {
  return new Command("models")
    .description("models by name: download them from the Hugging Face hub, list, describe and remove them")
    .addArgument(new Argument("<action>", "what to do").choices(ACTIONS))
    .addArgument(new Argument("[models...]", `${MODEL}; pull and rm take a name, info one or two of either`))
    .addOption(new Option("--json", "print one JSON object and nothing else (list, info)"))
    .addHelpText(
      "after",
      `
Actions:
  list                 what has been downloaded
  pull NAME            download it, or go on with a download that broke off
  rm NAME              remove it from this machine
  info MODEL [OTHER]   what its file says, and whether two of them can be drafter and target

A name is hf:OWNER/REPO, then perhaps a colon and a quantisation or a file. Without one: Q4_K_M, else Q8_0, else the
only one. Other commands take names as well, and download what is not there.

Environment:
  HF_TOKEN               for gated and private repositories
  PICOSPEC_CACHE         where to keep models (default: picospec in the user's cache folder)
  PICOSPEC_HF_ENDPOINT   a mirror (default: https://huggingface.co)

Examples:
  $ picospec models pull hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF
  $ picospec models pull hf:Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m
  $ picospec models info hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF large.gguf
  $ picospec models list --json
  $ picospec models rm hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF`,
    )
    .action(run);
}

async function run(action: Action, models: readonly string[], { json }: ModelsValues): Promise<void> {
  const [fewest, most] = COUNTS[action];
  if (models.length < fewest || models.length > most) {
    const takes = most === 0 ? "no model" : fewest === most ? "one model" : "one model or two";
    throw new SettingError("models", `picospec models ${action} takes ${takes}, not ${models.length}`);
  }
  const [first, other] = models;
  switch (action) {
    case "list":
      return list(json === true);
    case "pull":
      return pullNamed(first!);
    case "rm":
      return remove(first!);
    case "info":
      return info(first!, other ?? null, json === true);
    default:
      action satisfies never;
  }
}

async function list(json: boolean): Promise<void> {
  const { cacheFolder } = hubOptions();
  const models = await cachedModels(cacheFolder);
  if (json) {
    console.log(JSON.stringify({ folder: cacheFolder, models: models.map(listed) }, null, 2));
    return;
  }
  if (models.length === 0) {
    console.log(wrapped(`no models in ${cacheFolder}; picospec models pull hf:OWNER/REPO downloads one`));
    return;
  }
  const rows = models.map((model) => {
    const { sizeBytes, haveBytes, complete, quantisation, date } = listed(model);
    const size = complete ? bytesText(sizeBytes) : `${bytesText(haveBytes)} of ${bytesText(sizeBytes)}`;
    return [model.name, quantisation ?? "–", size, date.slice(0, 10)];
  });
  const bytes = models.reduce((sum, { haveBytes }) => sum + haveBytes, 0);
  console.log(table([["model", "quantisation", "size", "date"], ...rows]));
  console.log(wrapped(`\n${bytesText(bytes)} in ${cacheFolder}`));
}

function listed({ name, path, file, records, complete, haveBytes, writtenMs }: CachedModel) {
  return {
    name,
    file,
    quantisation: quantisationOf(path),
    complete,
    sizeBytes: records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    haveBytes,
    verified: records.every(({ sha256 }) => sha256 !== null) ? "sha256" : "size",
    date: new Date(writtenMs).toISOString(),
  };
}

async function pullNamed(text: string): Promise<void> {
  const { name, file, sizeBytes, downloaded, sha256 } = await pull(text);
  const checked = sha256.includes(null) ? "its size (the hub names no sha256)" : "size and sha256";
  const how = downloaded ? `downloaded and verified by ${checked}` : "was here already";
  console.log(wrapped(`${name}: ${bytesText(sizeBytes)}, ${how}\n${file}`));
}

async function remove(text: string): Promise<void> {
  const options = hubOptions();
  const model = await cachedModel(parseHubName(text), options.cacheFolder);
  await removeModel(model, options);
  console.log(`removed ${model.name}: ${bytesText(model.haveBytes)}`);
}

async function info(first: string, second: string | null, json: boolean): Promise<void> {
  const one = await details(first);
  const other = second === null ? null : await details(second);
  const [small, large] = other && one.parameters > other.parameters ? [other, one] : [one, other];
  const judged = large && (await judgeFiles(small, large));
  if (json) {
    const pair = judged && { possible: judged.problem === null, problem: judged.problem };
    const models = [one, ...(other ? [other] : [])].map(shape);
    console.log(JSON.stringify({ models, pair }, null, 2));
    return;
  }
  const rows = rowsOf(one);
  const others = other && rowsOf(other);
  console.log(table(rows.map((row, i) => [...row, ...(others ? [others[i]![1]!] : [])])));
  if (judged && large) console.log(wrapped(`\n${pairText(small, large, judged)}`));
}

function pairText(small: ModelDetails, large: ModelDetails, judged: PairVerdict): string {
  if (judged.problem !== null) {
    return `They cannot be a pair: ${judged.problem}. Take two models of one family.`;
  }
  const drafts = `${small.name} is the smaller, so it drafts`;
  if (small.identity === large.identity) {
    return `They can be a pair: their tokenizers are the same, and ${drafts}.`;
  }
  const { length } = judged.barred;
  const barred = length > 0 ? `, and ${length} tokens that differ are not drafted` : "";
  return `They can be a pair: ${drafts}. Their tokenizers differ, so prompts and texts go through that of ${large.name}${barred}.`;
}

/** Nothing is downloaded for it: a model may be large. */
async function details(nameOrFile: string): Promise<ModelDetails> {
  if (!isHubName(nameOrFile)) {
    const [first = nameOrFile, ...others] = partsOf(nameOrFile);
    return readModelDetails([first, ...others]);
  }
  const name = parseHubName(nameOrFile);
  const model = await cachedModel(name, hubOptions().cacheFolder);
  if (!model.complete) {
    const text = hubNameText(name);
    throw new HubError("not_cached", `${text} is not all here; picospec models pull ${text} brings the rest`);
  }
  const [, ...others] = partsOf(model.path).map((path) => path.slice(path.lastIndexOf("/") + 1));
  return readModelDetails([model.file, ...others.map((part) => join(dirname(model.file), part))]);
}

function shape(model: ModelDetails) {
  const { name, path, title, architecture, parameters, sizeBytes, quantisation, weights } = model;
  const { contextTokens, layers, width, vocabularySize, realTokens, fingerprint, chatTemplate } = model;
  return {
    ...{ name, path, title, architecture, parameters, sizeBytes, quantisation, weights },
    ...{
      contextTokens,
      layers,
      width,
      vocabularySize,
      realTokens,
      fingerprint,
      chatTemplate: chatTemplate !== null,
    },
  };
}

function rowsOf(model: ModelDetails): string[][] {
  const { realTokens, vocabularySize } = model;
  const padding = vocabularySize - realTokens;
  const count = (value: number | null) => (value === null ? "–" : String(value));
  return [
    ["", model.name],
    ["title", model.title ?? "–"],
    ["architecture", model.architecture],
    ["parameters", parametersText(model.parameters)],
    ["size", bytesText(model.sizeBytes)],
    ["quantisation", model.quantisation ?? "–"],
    ["weights", model.weights.slice(0, 16)],
    ["context, tokens", count(model.contextTokens)],
    ["layers", count(model.layers)],
    ["width", count(model.width)],
    ["vocabulary, tokens", padding > 0 ? `${realTokens} and ${padding} of padding` : String(realTokens)],
    ["tokenizer", model.fingerprint],
    ["chat template", model.chatTemplate === null ? "no" : "yes"],
  ];
}

function parametersText(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} billion`;
  return count >= 1e6 ? `${(count / 1e6).toFixed(1)} million` : String(count);
}
