import { ParallelDrafter } from "../edge/parallel-drafter.ts";
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
}

/** @throws EngineError for a file that is not there, is no GGUF, or is no model for this */
export async function loadDrafter({ file, threads, gpu, pace }: DrafterOptions): Promise<LoadedDrafter> {
  const bar = progressBar(`loading ${file}`);
  const model = await LlamaModel.load(file, { gpu, progress: bar.update }).finally(bar.end);
  const plain = await llamaDraftModel(model, { threads });
  const drafter = pace ? pacedDrafter(plain, pace, systemClock) : plain;
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
