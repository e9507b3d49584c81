import { COMMAND_R, COMMAND_R7B } from "./command-r.ts";
import { DEEPSEEK_R1, DEEPSEEK_V3_1, DEEPSEEK_V3_2, DEEPSEEK_V4 } from "./deepseek.ts";
import type { Format } from "./format.ts";
import { FUNCTIONARY_3_1, FUNCTIONARY_3_2 } from "./functionary.ts";
import { GLM, GLM_LINES, HUNYUAN_3, LING } from "./glm.ts";
import { GPT_OSS } from "./gpt-oss.ts";
import { GENERIC, HERMES } from "./hermes.ts";
import { KIMI_K2, KIMI_K3 } from "./kimi.ts";
import {
  APERTUS,
  APRIEL,
  FIREFUNCTION,
  GIGACHAT,
  GRANITE_3,
  HUNYUAN,
  NEMOTRON_2,
  PHI_4_MINI,
} from "./lists.ts";
import { LLAMA_3, LLAMA_4 } from "./llama.ts";
import { MINIMAX_M1, MINIMAX_M2, MINIMAX_M3 } from "./minimax.ts";
import { MAGISTRAL, MISTRAL_NEMO, MISTRAL_SMALL } from "./mistral.ts";
import { MUSE_GLIMMER } from "./muse-glimmer.ts";
import { GEMMA_4, LFM2 } from "./python-like.ts";
import { MINICPM_5, QWEN3_CODER, SEED_OSS } from "./qwen3-coder.ts";
import { SOLAR } from "./solar.ts";

/** Every format, the particular before the general: the first that recognises a template is the model's. */
export const FORMATS: readonly Format[] = [
  GPT_OSS,
  FUNCTIONARY_3_2,
  FUNCTIONARY_3_1,
  KIMI_K2,
  KIMI_K3,
  COMMAND_R7B,
  COMMAND_R,
  MISTRAL_SMALL,
  MAGISTRAL,
  MISTRAL_NEMO,
  DEEPSEEK_V3_2,
  DEEPSEEK_V4,
  DEEPSEEK_R1,
  DEEPSEEK_V3_1,
  SOLAR,
  MUSE_GLIMMER,
  GEMMA_4,
  LFM2,
  APERTUS,
  SEED_OSS,
  MINIMAX_M3,
  MINIMAX_M2,
  MINIMAX_M1,
  APRIEL,
  HUNYUAN_3,
  HUNYUAN,
  NEMOTRON_2,
  GRANITE_3,
  FIREFUNCTION,
  PHI_4_MINI,
  GIGACHAT,
  QWEN3_CODER,
  MINICPM_5,
  LING,
  GLM,
  GLM_LINES,
  HERMES,
  LLAMA_3,
  LLAMA_4,
  GENERIC,
];

/**
 * The format of a model, by its chat template.
 * @param template Jinja source; null: there is none
 * @example formatOf("{{ messages }} <tool_call>").name; // "hermes"
 */
export function formatOf(template: string | null): Format {
  return FORMATS.find((format) => format.recognises(template ?? "")) ?? GENERIC;
}
