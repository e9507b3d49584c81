import type { SamplerSettings } from "../sampling/settings.ts";

/** The sampler's settings as llama.cpp's server and Ollama call them. */
export const LLAMA_NAMES = {
  temperature: "temperature",
  top_k: "topK",
  top_p: "topP",
  min_p: "minP",
  repeat_penalty: "repetitionPenalty",
  repeat_last_n: "penaltyLastN",
  presence_penalty: "presencePenalty",
  frequency_penalty: "frequencyPenalty",
} as const satisfies Record<string, keyof SamplerSettings>;

export const llamaNames = Object.entries(LLAMA_NAMES) as readonly [
  keyof typeof LLAMA_NAMES,
  (typeof LLAMA_NAMES)[keyof typeof LLAMA_NAMES],
][];
