import koffi from "koffi";
import { assert } from "../../util/assert.ts";
import { EngineError } from "../engine.ts";
import { type Pointer, registerProgress } from "./abi.ts";
import {
  type ComputeOptions,
  checkCompute,
  computeOf,
  firstGpuOption,
  MOST_GPUS,
  modelParamsOf,
} from "./compute.ts";
import { type ModelFile, readModelFile } from "./gguf.ts";
import { type GpuChoice, type LlamaLibrary, loadLibrary } from "./library.ts";

export interface LoadOptions extends ComputeOptions {
  readonly gpu?: GpuChoice;
  /** only the tokenizer: nothing can be computed with it */
  readonly vocabularyOnly?: boolean;
  /** all but the weights, which are not read: contexts can be made, and nothing can be computed with them */
  readonly structureOnly?: boolean;
  /** what its header says, where it was read already: with 150,000 tokens that takes half a second */
  readonly file?: ModelFile;
  /** how much is loaded, 0 to 1 */
  readonly progress?: (fraction: number) => void;
}

/** Weights and vocabulary of a GGUF file. */
export class LlamaModel {
  readonly file: ModelFile;
  readonly library: LlamaLibrary;
  /** how it was loaded */
  readonly compute: ComputeOptions;
  readonly pointer: Pointer;
  readonly vocab: Pointer;
  readonly vocabularySize: number;
  /** context that it was trained for, tokens */
  readonly trainedContext: number;
  /** passes run on a CPU */
  readonly onCpu: boolean;
  /** attention of some layers reaches back only so far */
  readonly slidingWindow: boolean;
  /** some layers have a state in place of keys and values, without earlier positions */
  readonly recurrent: boolean;
  private open = true;
  private contexts = 0;
  private freed = false;
  private readonly closers: (() => void)[] = [];

  private constructor(file: ModelFile, library: LlamaLibrary, pointer: Pointer, options: LoadOptions) {
    const { api } = library;
    this.compute = computeOf(options);
    this.file = file;
    this.library = library;
    this.pointer = pointer;
    this.vocab = api.getVocab(pointer);
    this.vocabularySize = api.vocabSize(this.vocab);
    this.trainedContext = api.nCtxTrain(pointer);
    this.onCpu = options.gpu === "off" || !library.usesGpu || options.gpuLayers === 0;
    this.slidingWindow = api.nSwa(pointer) > 0;
    this.recurrent = api.isHybrid(pointer) || api.isRecurrent(pointer);
  }

  /**
   * Loads off the event loop.
   * @throws EngineError `no_model`, `not_gguf`, `bad_model`, `unsupported_model`, `no_engine`, `engine_version`;
   * SettingError
   */
  static async load(path: string, options: LoadOptions = {}): Promise<LlamaModel> {
    const { gpu = "auto", vocabularyOnly = false, structureOnly = false, progress } = options;
    checkCompute(options, gpu);
    const file = options.file ?? (await readModelFile(path));
    const library = loadLibrary(gpu);
    const { api } = library;
    const wanted = firstGpuOption(options);
    if (wanted && !library.usesGpu) {
      const message = `${wanted} is for a GPU, and ${library.build} uses none; picospec doctor says what to install`;
      throw new EngineError("no_gpu", message);
    }
    const callback = progress
      ? registerProgress((fraction) => {
          progress(fraction);
          return true;
        })
      : null;
    const split = new Float32Array(new ArrayBuffer(4 * MOST_GPUS));
    const params = {
      ...api.modelDefaultParams(),
      ...modelParamsOf(options, (parts) => {
        split.set(parts);
        return koffi.address(split);
      }),
      ...{ progress_callback: callback, vocab_only: vocabularyOnly },
    };
    if (gpu === "off") params.n_gpu_layers = 0;
    if (structureOnly) Object.assign(params, { load_mode: 0, no_alloc: true });
    const pointer = await new Promise<Pointer | null>((resolve, reject) => {
      api.modelLoad.async(path, params, (error, loaded) => (error ? reject(error) : resolve(loaded)));
    }).finally(() => callback !== null && koffi.unregister(callback));
    if (pointer === null) {
      const message = `llama.cpp ${library.version} cannot load ${path} (architecture ${file.architecture}); PICOSPEC_LLAMA_LOG=1 shows why`;
      throw new EngineError("bad_model", message);
    }
    const model = new LlamaModel(file, library, pointer, options);
    const reason = model.unsupported();
    if (reason) {
      model.close();
      throw new EngineError("unsupported_model", `${path} cannot be used: ${reason}`);
    }
    return model;
  }

  /** Ends what was made for it along with it. */
  whenClosed(act: () => void): void {
    this.closers.push(act);
  }

  /** Frees it once its last context is closed. */
  close(): void {
    this.open = false;
    for (const act of this.closers.splice(0)) act();
    if (this.contexts === 0) this.free();
  }

  /** A context uses it. */
  retain(): void {
    assert(this.open, "a closed model was used");
    this.contexts++;
  }

  release(): void {
    this.contexts--;
    if (!this.open && this.contexts === 0) this.free();
  }

  private free(): void {
    if (!this.freed) this.library.api.modelFree(this.pointer);
    this.freed = true;
  }

  private unsupported(): string | null {
    const { api } = this.library;
    // llama.cpp decodes sequences of these together only where they are neighbours: no control over what is alone.
    if (api.isRecurrent(this.pointer)) {
      return `a ${this.file.architecture} model has recurrent layers only; take a hybrid one, or one with attention`;
    }
    if (api.hasEncoder(this.pointer)) return "it is an encoder-decoder model";
    return null;
  }
}
