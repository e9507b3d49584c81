import { benchJsonTask, type JsonTiming } from "../../lab/bench/json-task.ts";
import { loadGrammars } from "../device/grammars.ts";
import { table } from "./output.ts";
import { wrapped } from "./text.ts";

/** The suite json: what a grammar dictates, used and not. */

const SETTINGS = [
  { rttMs: 20, passMs: 30, draftMs: 4 },
  { rttMs: 80, passMs: 30, draftMs: 4 },
];
const ANSWERS = 6;

export async function benchJson(targetFile: string, drafterFile: string): Promise<JsonTiming[]> {
  const timings: JsonTiming[] = [];
  for (const setting of SETTINGS) {
    timings.push(
      ...(await benchJsonTask({
        setting,
        targetFile,
        drafterFile,
        answers: ANSWERS,
        grammars: loadGrammars,
      })),
    );
  }
  return timings;
}

export function jsonText(timings: readonly JsonTiming[]): string {
  const head = [
    "emulated RTT/pass/draft, ms",
    "policy",
    "tokens/s without",
    "with",
    "passes/token",
    "with",
    "dictated",
    "same text",
  ];
  const lines = timings.map(
    ({ setting, policy, tokensPerSecond, passesPerToken, dictated, sameText, answers }) => [
      `${setting.rttMs}/${setting.passMs}/${setting.draftMs}`,
      policy,
      tokensPerSecond.without.toFixed(1),
      `${tokensPerSecond.with.toFixed(1)} (${(tokensPerSecond.with / tokensPerSecond.without).toFixed(2)}x)`,
      passesPerToken.without.toFixed(2),
      passesPerToken.with.toFixed(2),
      `${(100 * dictated).toFixed(0)}%`,
      sameText === null ? "–" : `${sameText} of ${answers}`,
    ],
  );
  const note =
    "Answers in JSON, in turns without and with what the grammar dictates. Models and sockets are real; network and hardware are emulated. dictated: committed tokens that were drafted by the grammar alone.";
  return `${table([head, ...lines])}\n\n${wrapped(note, "")}`;
}
