import type { GivenVocabulary, TargetDescription } from "../cloud/driver.ts";
import type { Drafter } from "../edge/drafters/drafter.ts";
import { LookupDrafter, TwoDrafters } from "../edge/drafters/lookup-drafter.ts";
import type { PassEngine } from "../engine/engine.ts";
import type { LiveEngine } from "../engine/live-engine.ts";
import { type ComputeOptions, computeOf, computeText } from "../engine/llama/compute.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import { LlamaModel } from "../engine/llama/model.ts";
import { llamaTargetModel } from "../engine/llama/models.ts";
import { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import { Registry } from "../engine/registry.ts";
import type { Grammars } from "../grammar/grammar.ts";
import { assert } from "../util/assert.ts";
import { givenVocabulary } from "./given-vocabulary.ts";
import { loadGrammars } from "./grammars.ts";
import { type CheckFile, checkFile } from "./isolation/check.ts";

/** What is wired on this machine: engines of targets, and drafters, by name. Another one is registered here. */

export interface TargetRequest extends ComputeOptions {
  /** path of the model */
  readonly file: string;
  /** sessions whose KV is kept at a time */
  readonly kvSlots: number;
  /** most tokens of a session; null: the engine's own default */
  readonly contextTokens: number | null;
  readonly threads: number;
  readonly gpu: GpuChoice;
  /** of loading the model, [0, 1] */
  readonly progress: (fraction: number) => void;
  /** looks at the file before this process opens it; a test can do without. Default: `checkFile` */
  readonly check?: CheckFile;
}

/** A target that is ready to serve, with what a cloud has to know of its model. */
export interface OpenedTarget {
  readonly engine: PassEngine | LiveEngine;
  readonly description: TargetDescription;
  /** a GGUF file without tensors, for edges that have no tokenizer; null: they need their own */
  readonly tokenizer: Uint8Array | null;
  /** for edges whose drafter has another tokenizer, or none; null: it is not known, or too large */
  readonly vocabulary: GivenVocabulary | null;
  /** Token ids of a text as prompts are read: special tokens by name, the begin token included. */
  encode(text: string): Int32Array;
  /** null: it keeps to no grammars */
  readonly grammars: Grammars | null;
  /** name and version of the library that runs it */
  readonly library: { readonly build: string; readonly version: string };
  /** what it computes with, in a line for people */
  readonly compute: string;
  /** Frees the engine and its model. */
  close(): void;
}

/** @throws EngineError */
export type OpenTarget = (request: TargetRequest) => Promise<OpenedTarget>;

export const TARGET_ENGINES = new Registry<OpenTarget>("engine").register("llama", openLlama);

async function openLlama(request: TargetRequest): Promise<OpenedTarget> {
  const { file, kvSlots, contextTokens, threads, gpu, progress, check = checkFile } = request;
  await check(file, "whole");
  const model = await LlamaModel.load(file, { gpu, progress, ...computeOf(request) });
  let engine: PassEngine | null = null;
  try {
    const context = contextTokens === null ? {} : { contextTokens };
    const target = await llamaTargetModel(model, { kvSlots, threads, ...context });
    engine = target;
    const tokenizer = new LlamaTokenizer(model);
    const endTokens = tokenizer.endTokens();
    const { name, fingerprint, chatTemplate } = model.file;
    const { build, version } = model.library;
    return {
      engine: target,
      description: { name, fingerprint, chatTemplate, endTokens },
      ...(await givenVocabulary(file)),
      grammars: await loadGrammars(tokenizer, endTokens),
      library: { build, version },
      compute: computeText({ ...model.compute, threads }, { build, onCpu: model.onCpu }),
      encode: (text) => tokenizer.encode(text, true),
      close() {
        target.close();
        model.close();
      },
    };
  } catch (error) {
    engine?.close();
    model.close();
    throw error;
  }
}

/** How drafts are made. */
export interface DrafterEntry {
  /** it needs the small model itself, and not only its tokenizer */
  readonly needsModel: boolean;
  /** @param model drafts by the small model; null: there is only a tokenizer */
  make(model: Drafter | null): Drafter;
}

function modelled(make: (model: Drafter) => Drafter): DrafterEntry {
  return {
    needsModel: true,
    make(model) {
      assert(model, "a drafter that needs a model has one");
      return make(model);
    },
  };
}

export const DRAFTERS = new Registry<DrafterEntry>("drafter")
  .register(
    "model",
    modelled((model) => model),
  )
  .register("lookup", { needsModel: false, make: () => new LookupDrafter() })
  .register(
    "both",
    modelled((model) => new TwoDrafters(model)),
  );
