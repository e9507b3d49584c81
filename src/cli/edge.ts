import { ParallelDrafter } from "../edge/parallel-drafter.ts";
import type { DraftModel } from "../engine/engine.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import { LlamaModel } from "../engine/llama/model.ts";
import { llamaDraftModel } from "../engine/llama/models.ts";
import { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import { type PaceProfile, pacedDrafter } from "../engine/paced.ts";
import { systemClock } from "../transport/node/clock.ts";
import { progressBar } from "./output.ts";

/** The small model of this device, ready to draft. */
export interface LoadedDrafter {
  readonly drafter: ParallelDrafter;
  readonly tokenizer: LlamaTokenizer;
  readonly chatTemplate: string | null;
  close(): void;
}

export interface DrafterOptions {
  readonly file: string;
  readonly threads: number;
  readonly gpu: GpuChoice;
  /** emulated hardware, or null */
  readonly pace: PaceProfile | null;
  /** wraps the model: to watch it */
  readonly watch?: (model: DraftModel) => DraftModel;
}

/** @throws EngineError for a file that is not there, is no GGUF, or is no model for this */
export async function loadDrafter(options: DrafterOptions): Promise<LoadedDrafter> {
  const { file, threads, gpu, pace, watch } = options;
  const bar = progressBar(`loading ${file}`);
  const model = await LlamaModel.load(file, { gpu, progress: bar.update }).finally(bar.end);
  const plain = await llamaDraftModel(model, { threads });
  const paced = pace ? pacedDrafter(plain, pace, systemClock) : plain;
  const drafter = watch?.(paced) ?? paced;
  return {
    drafter: new ParallelDrafter(drafter),
    tokenizer: new LlamaTokenizer(model),
    chatTemplate: model.file.chatTemplate,
    close() {
      drafter.close();
      model.close();
    },
  };
}
