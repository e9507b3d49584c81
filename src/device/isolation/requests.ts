import type { Footprint } from "../../engine/llama/footprint.ts";
import type { ModelFile } from "../../engine/llama/gguf.ts";
import type { GpuChoice } from "../../engine/llama/library.ts";
import type { TemplateVariables } from "../../text/templates/render.ts";
import type { Outcome } from "./outcome.ts";

/** What a process of its own is asked, and answers. Plain data: it goes as JSON. */

/** What will be done with a file: its tokenizer alone, or all of it. */
export type Extent = "vocabulary" | "whole";

export type Request =
  | { readonly kind: "library"; readonly gpu: GpuChoice }
  | { readonly kind: "file"; readonly file: string; readonly extent: Extent; readonly computedBytes: number }
  | {
      readonly kind: "template";
      readonly source: string;
      readonly variables: TemplateVariables;
      readonly mostCharacters: number;
    };

/** What loading llama.cpp said. */
export interface LoadedLibrary {
  readonly build: string;
  readonly version: string;
  readonly usesGpu: boolean;
}

/** What is known of a file that was checked. */
export interface ModelReport {
  readonly file: ModelFile;
  readonly footprint: Footprint;
}

export interface Answers {
  readonly library: LoadedLibrary;
  readonly file: ModelReport;
  readonly template: string;
}

/** The one stage whose end is not the file's fault. */
export const LOADING_LIBRARY = "loading llama.cpp";

/** From the child: what it begins to do, so that its end can be explained; or the outcome. */
export type Message =
  | { readonly stage: string }
  | { readonly number: number; readonly outcome: Outcome<unknown> };
