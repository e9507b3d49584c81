import { stat } from "node:fs/promises";
import { GGMLFileQuantizationType, GGMLQuantizationType, type GGUFTensorInfo } from "@huggingface/gguf";
import { judgePair, type PairVerdict, summarised } from "../../decoding/vocabulary-pair.ts";
import { type ModelFile, modelFileOf, readHeader } from "./gguf.ts";
import type { MetadataList } from "./metadata-list.ts";
import { readVocabularyTable } from "./vocabulary-table.ts";
import { type WeightsFile, weightsHash } from "./weights.ts";

/** What a GGUF file says of its model, without loading it. null: the file does not say. */
export interface ModelDetails extends ModelFile {
  /** the name that its makers gave it */
  readonly title: string | null;
  readonly sizeBytes: number;
  /** numbers in its tensors */
  readonly parameters: number;
  readonly quantisation: string | null;
  /** see `weightsHash` */
  readonly weights: string;
  /** that it was trained for */
  readonly contextTokens: number | null;
  readonly layers: number | null;
  /** of its embeddings */
  readonly width: number | null;
  /** padding included */
  readonly vocabularySize: number;
}

/**
 * @param paths the file, or all parts of a model that was split, in order: the first has the metadata
 * @throws EngineError `no_model`, `not_gguf`, `bad_model`
 */
export async function readModelDetails(paths: readonly [string, ...string[]]): Promise<ModelDetails> {
  const files: WeightsFile[] = [];
  for (const path of paths) files.push({ path, header: await readHeader(path) });
  return modelDetails(files);
}

/** @throws EngineError `bad_model` */
export async function modelDetails(files: readonly WeightsFile[]): Promise<ModelDetails> {
  const { path, header: first } = files[0]!;
  const { metadata } = first;
  const file = modelFileOf(path, first);
  const sizes = await Promise.all(files.map((part) => stat(part.path)));
  const tensors = files.flatMap(({ header }) => header.tensors);
  const count = (key: string) => {
    const value = metadata[`${file.architecture}.${key}`];
    // Some models have a number for each layer: no single one is right.
    return typeof value === "number" || typeof value === "bigint" ? Number(value) : null;
  };
  const title = metadata["general.name"];
  return {
    ...file,
    title: typeof title === "string" ? title : null,
    sizeBytes: sizes.reduce((sum, { size }) => sum + size, 0),
    parameters: tensors.reduce((sum, tensor) => sum + numbersIn(tensor), 0),
    quantisation: quantisationOf(metadata["general.file_type"], tensors),
    weights: await weightsHash(files),
    contextTokens: count("context_length"),
    layers: count("block_count"),
    width: count("embedding_length"),
    vocabularySize: (metadata["tokenizer.ggml.tokens"] as MetadataList).length,
  };
}

function numbersIn({ shape }: GGUFTensorInfo): number {
  return shape.reduce((product, length) => product * Number(length), 1);
}

/** What the file says; else the type that most of its numbers have. */
function quantisationOf(fileType: unknown, tensors: readonly GGUFTensorInfo[]): string | null {
  const said = GGMLFileQuantizationType[Number(fileType)];
  if (said !== undefined) return said;
  const numbers = new Map<number, number>();
  for (const tensor of tensors) {
    numbers.set(tensor.dtype, (numbers.get(tensor.dtype) ?? 0) + numbersIn(tensor));
  }
  const [most] = [...numbers].sort(([, a], [, b]) => b - a);
  return most === undefined ? null : (GGMLQuantizationType[most[0]] ?? null);
}

/** Whether one model can draft for another, by their files. @throws EngineError `bad_model` */
export async function judgeFiles(drafter: ModelFile, target: ModelFile): Promise<PairVerdict> {
  const [own, other] = await Promise.all([drafter, target].map(({ path }) => readVocabularyTable(path)));
  return judgePair(own!, summarised(other!));
}
