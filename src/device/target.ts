import type { GivenVocabulary, TargetDescription } from "../cloud/driver.ts";
import type { PassEngine } from "../engine/engine.ts";
import type { LiveEngine } from "../engine/live-engine.ts";
import type { ComputeOptions } from "../engine/llama/compute.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { CheckFile } from "./isolation/check.ts";

/** What a target is asked for, and what it is once it is ready: one interface for all engines. */

export interface TargetRequest extends ComputeOptions {
  /** as it was named. Default: it was not */
  readonly model?: string | null;
  /** Path of the model's file, which may be downloaded for it. @throws SettingError where no model was named */
  file(): Promise<string>;
  /** where servers are, for an engine that is one. Default: there are none */
  readonly servers?: EngineServers;
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

/** Servers of one model that run it, for engines that live elsewhere. */
export interface EngineServers {
  /** of their HTTP API; empty: this engine has none */
  readonly urls: readonly string[];
  /** of their mailboxes, in the same order; of one server's processes with commas */
  readonly mailboxes: readonly string[];
  readonly mailboxSecret: string | null;
  readonly apiKey: string | null;
  /** folder of the model, with its tokenizer.json; null: where the servers say it is */
  readonly tokenizer: string | null;
  /** most requests at a time on one server */
  readonly runs: number;
  /** a line for the operator, now and as long as it runs */
  readonly notice: (line: string) => void;
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
