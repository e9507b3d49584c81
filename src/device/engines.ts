import type { Drafter } from "../edge/drafters/drafter.ts";
import { LookupDrafter, TwoDrafters } from "../edge/drafters/lookup-drafter.ts";
import type { PassEngine } from "../engine/engine.ts";
import { computeOf, computeText } from "../engine/llama/compute.ts";
import { LlamaModel } from "../engine/llama/model.ts";
import { llamaTargetModel } from "../engine/llama/models.ts";
import { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import { Registry } from "../engine/registry.ts";
import { assert } from "../util/assert.ts";
import { SettingError } from "../util/errors.ts";
import { givenVocabulary } from "./given-vocabulary.ts";
import { loadGrammars } from "./grammars.ts";
import { checkFile } from "./isolation/check.ts";
import type { OpenedTarget, OpenTarget, TargetRequest } from "./target.ts";
import { openVllm } from "./vllm-target.ts";

/** What is wired on this machine: engines of targets, and drafters, by name. Another one is registered here. */

/** The engine that is a server of its own. */
export const SERVER_ENGINE = "vllm";

export const TARGET_ENGINES = new Registry<OpenTarget>("engine")
  .register("llama", openLlama)
  .register(SERVER_ENGINE, openVllm);

async function openLlama(request: TargetRequest): Promise<OpenedTarget> {
  const { kvSlots, contextTokens, threads, gpu, progress, check = checkFile } = request;
  if (request.servers && request.servers.urls.length > 0) {
    throw new SettingError("url", "llama runs in this process and has no --url; take --engine vllm");
  }
  const file = await request.file();
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
