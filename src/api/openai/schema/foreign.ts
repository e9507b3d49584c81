import { z } from "zod";
import { only } from "../../schema/only.ts";

/** Fields that clients of OpenAI, llama.cpp, vLLM, LM Studio and others send, and that have no place of their own here. */

/** llama.cpp's own order of samplers, which is the order here. */
const LLAMA_ORDER = [
  ...["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"],
];

/** They would change the answer, unless they say that they do not. */
export const refusedFields = {
  // Samplers that there are not: 0 or 1 switches them off.
  ...{ typical_p: only([1, 0]), typ_p: only([1, 0]), tfs_z: only([1]), top_a: only([0]) },
  ...{ mirostat: only([0]), mirostat_mode: only([0]), xtc_probability: only([0]) },
  ...{ dry_multiplier: only([0]), dynatemp_range: only([0]), no_repeat_ngram_size: only([0]) },
  samplers: only([[], LLAMA_ORDER, "edskypmxt"]),
  ...{ use_beam_search: only([false]), length_penalty: only([1]), early_stopping: only([false]) },
  // What an answer may have, and where it ends.
  ignore_eos: only([false]),
  ...{ min_tokens: only([0]), n_discard: only([0]), t_max_predict_ms: only([0, -1]) },
  ...{ stop_token_ids: only([[]], "or give stop"), include_stop_str_in_output: only([false]) },
  ...{ bad_words: only([[]], "or give logit_bias"), allowed_token_ids: only([[]], "or give logit_bias") },
  ...{ logits_processors: only([[]]), lora: only([[]]), steering: only([]) },
  // What the model is shown.
  ...{ truncate_prompt_tokens: only([-1]), prompt_embeds: only([]), documents: only([[]]) },
  ...{ add_generation_prompt: only([true]), chat_template: only([]), conversation_template: only([]) },
  ...{ web_search_options: only([]), plugins: only([[]]) },
  // What comes back.
  ...{ modalities: only([["text"]]), audio: only([]), prompt_logprobs: only([false, 0]) },
  reasoning_format: only(["auto", "deepseek", "deepseek-legacy"]),
};

const said = z.unknown().optional();

/** They change no answer: whatever they say is fine, and nothing comes of it. */
export const clientFields = {
  ...{ service_tier: said, metadata: said, store: said, safety_identifier: said, prompt_cache_key: said },
  ...{ prompt_cache_retention: said, prompt_cache_options: said, prediction: said, verbosity: said },
  ...{ client_metadata: said, context_management: said, moderation: said },
  ...{ cache_prompt: said, id_slot: said, n_keep: said, timings_per_token: said, return_progress: said },
  // Of samplers that are switched off.
  ...{ dynatemp_exponent: said, xtc_threshold: said, mirostat_tau: said, mirostat_eta: said },
  ...{ dry_base: said, dry_allowed_length: said, dry_penalty_last_n: said, dry_sequence_breakers: said },
  ...{ keep_alive: said, ttl: said, priority: said, request_id: said, cache_salt: said },
  ...{ skip_special_tokens: said, spaces_between_special_tokens: said },
};
