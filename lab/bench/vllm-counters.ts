import { PicoSpecError } from "../../src/util/errors.ts";

/** What a vLLM server counts of its engine, out of the text of its /metrics. */

export interface Counters {
  readonly steps: number;
  readonly tokens: number;
  readonly drafts: number;
  readonly accepted: number;
}

export const NOTHING: Counters = { steps: 0, tokens: 0, drafts: 0, accepted: 0 };

/** @param all of answers before this one, which ran from `before` to `after` */
export function counted(all: Counters, before: Counters, after: Counters): Counters {
  const added = (name: keyof Counters) => all[name] + after[name] - before[name];
  return {
    steps: added("steps"),
    tokens: added("tokens"),
    drafts: added("drafts"),
    accepted: added("accepted"),
  };
}

/** @throws PicoSpecError `no_metrics` where the text is none of vLLM's */
export function vllmCounters(text: string): Counters {
  const value = (name: string) => {
    const lines = text
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines.length === 0
      ? null
      : lines.reduce((all, line) => all + Number(line.slice(line.lastIndexOf(" "))), 0);
  };
  const steps = value("vllm:iteration_tokens_total_count");
  const tokens = value("vllm:generation_tokens_total");
  if (steps === null || tokens === null) {
    const message =
      "the server's /metrics have no steps of an engine: start vLLM without --disable-log-stats";
    throw new PicoSpecError("no_metrics", message);
  }
  const drafts = value("vllm:spec_decode_num_draft_tokens_total") ?? 0;
  return { steps, tokens, drafts, accepted: value("vllm:spec_decode_num_accepted_tokens_total") ?? 0 };
}
