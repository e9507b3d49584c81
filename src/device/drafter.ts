import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VocabularyTable } from "../decoding/vocabulary-pair.ts";
import { CloudError } from "../edge/connection.ts";
import type { Drafter } from "../edge/drafters/drafter.ts";
import { ParallelDrafter } from "../edge/drafters/parallel-drafter.ts";
import type { DraftModel } from "../engine/engine.ts";
import { type ComputeOptions, computeOf, computeText } from "../engine/llama/compute.ts";
import { metadataOfBytes } from "../engine/llama/header.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import { LlamaModel } from "../engine/llama/model.ts";
import { llamaDraftModel } from "../engine/llama/models.ts";
import { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import { readVocabularyTable, vocabularyTable } from "../engine/llama/vocabulary-table.ts";
import { type HardwareProfile, pacedDrafter } from "../engine/paced.ts";
import { systemClock } from "../transport/node/clock.ts";
import { messageOf } from "../util/errors.ts";
import { tokenizerFileOf, type VocabularySource } from "./cloud-vocabulary.ts";
import { DRAFTERS } from "./engines.ts";
import { type CheckFile, checkFile, checkTokenizer } from "./isolation/check.ts";

export type DrafterKind = "model" | "lookup" | "both";

/** The small model of this device, ready to draft. */
export interface LoadedDrafter {
  readonly drafter: Drafter;
  /** the model without prompt lookup: it can answer alone. null: there is only a tokenizer */
  readonly own: Drafter | null;
  readonly tokenizer: LlamaTokenizer;
  readonly chatTemplate: string | null;
  /** what it computes with, in a line for people; null: nothing is computed */
  readonly compute: string | null;
  /** what pairs are judged by; null: the tokenizer is a target's own, and only the text drafts */
  readonly vocabulary: (() => Promise<VocabularyTable>) | null;
  close(): void;
}

/** The target's tokenizer, for a device that has another, or none. */
export interface CloudTokenizer {
  readonly tokenizer: LlamaTokenizer;
  readonly chatTemplate: string | null;
  /** What its vocabulary is compared by. */
  table(): Promise<VocabularyTable>;
  close(): void;
}

export interface DrafterOptions extends ComputeOptions {
  readonly file: string;
  readonly threads: number;
  readonly gpu: GpuChoice;
  /** emulated hardware, or null */
  readonly hardware: HardwareProfile | null;
  /** what drafts: the model, prompt lookup, or whichever has the longer agreeing history */
  readonly kind?: DrafterKind;
  /** wraps the model: to watch it */
  readonly watch?: (model: DraftModel) => DraftModel;
  /** of loading the file, [0, 1] */
  readonly progress?: (fraction: number) => void;
  /** looks at the file before this process opens it; a test can do without. Default: `checkFile` */
  readonly check?: CheckFile;
}

/** @throws EngineError for a file that is not there, is no GGUF, or is no model for this */
export async function loadDrafter(options: DrafterOptions): Promise<LoadedDrafter> {
  const { file, threads, gpu, hardware, watch, progress, kind = "model" } = options;
  const { needsModel, make } = DRAFTERS.named(kind);
  const { check = checkFile } = options;
  await check(file, needsModel ? "whole" : "vocabulary");
  const model = await LlamaModel.load(file, {
    gpu,
    ...computeOf(options),
    ...(progress ? { progress } : {}),
    vocabularyOnly: !needsModel,
  });
  const tokenizer = new LlamaTokenizer(model);
  const { chatTemplate } = model.file;
  // Most pairs have one tokenizer: then no one asks for it.
  const vocabulary = () => readVocabularyTable(file);
  if (!needsModel) {
    const close = () => model.close();
    return { drafter: make(null), own: null, tokenizer, chatTemplate, compute: null, vocabulary, close };
  }
  const plain = await llamaDraftModel(model, { threads }).catch((error: unknown) => {
    model.close();
    throw error;
  });
  const paced = hardware ? pacedDrafter(plain, hardware, systemClock) : plain;
  const drafter = watch?.(paced) ?? paced;
  const own = new ParallelDrafter(drafter);
  return {
    drafter: make(own),
    own,
    tokenizer,
    chatTemplate,
    compute: computeText({ ...model.compute, threads }, { build: model.library.build, onCpu: model.onCpu }),
    vocabulary,
    close() {
      drafter.close();
      model.close();
    },
  };
}

/**
 * The target's tokenizer, from the cloud: for a device without a model, or with one of another tokenizer.
 * @param check looks at the bytes, and at a file of them, before this process opens it
 * @throws CloudError, `bad_tokenizer` for one that cannot be used
 */
export async function cloudTokenizer(
  client: VocabularySource,
  check = checkTokenizer,
): Promise<CloudTokenizer> {
  const bytes = await tokenizerFileOf(client);
  const folder = await mkdtemp(join(tmpdir(), "picospec-"));
  try {
    const path = join(folder, "tokenizer.gguf");
    await writeFile(path, bytes);
    await check(bytes, path).catch((error) => {
      const message = `the cloud's tokenizer cannot be used: ${messageOf(error)}`;
      throw new CloudError("bad_tokenizer", message, { cause: error });
    });
    const model = await LlamaModel.load(path, { gpu: "off", vocabularyOnly: true });
    // The file does not stay.
    const tokenizer = new LlamaTokenizer(model, bytes);
    const { chatTemplate } = model.file;
    const table = async () => vocabularyTable(metadataOfBytes(bytes));
    return { tokenizer, chatTemplate, table, close: () => model.close() };
  } finally {
    await rm(folder, { recursive: true });
  }
}
