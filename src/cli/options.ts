import { type Command, InvalidArgumentError, Option } from "commander";
import { type DecodingPolicy, POLICIES, policyNamed } from "../decoding/policy.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import { PACE_PROFILES, type PaceProfile, paceNamed } from "../engine/paced.ts";
import { type Seed, toSeed } from "../sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../sampling/sampler.ts";
import { messageOf } from "../util/errors.ts";

/** Parsers of option values: each fails in one line that says what is allowed. */

export function number(low: number, high = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || Number.isNaN(value) || value < low || value > high) {
      const range = high === Number.POSITIVE_INFINITY ? `${low} or more` : `from ${low} to ${high}`;
      throw new InvalidArgumentError(`It must be a number, ${range}.`);
    }
    return value;
  };
}

export function whole(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < low || value > high) {
      throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`);
    }
    return value;
  };
}

/** A room's own parser as one of the command line: where it throws, the user is told so in one line. @throws InvalidArgumentError */
export function checked<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(`${messageOf(error)}.`);
    }
  };
}

export interface NamedPolicy {
  readonly name: string;
  readonly policy: DecodingPolicy;
}

const namedPolicy = checked((name): NamedPolicy => ({ name, policy: policyNamed(name) }));

const namedPolicies = (text: string) => text.split(",").map((name) => namedPolicy(name.trim()));

export const policyNames = Object.keys(POLICIES).join(", ");

export function policyOption(fallback: string): Option {
  return new Option("--policy <name>", `how to decode: ${policyNames}`)
    .argParser(namedPolicy)
    .default(namedPolicy(fallback), fallback);
}

/** @param what policies of this list are, for example "policies to run" */
export function policyListOption(fallback: string, what = "policies to run after the cloud alone"): Option {
  return new Option("--policy <names>", `${what}, with commas: ${policyNames}`)
    .argParser(namedPolicies)
    .default(namedPolicies(fallback), fallback);
}

export interface NamedPace {
  readonly name: string;
  readonly profile: PaceProfile;
}

/** null: off */
const namedPace = checked((name): NamedPace | null => {
  return name === "off" ? null : { name, profile: paceNamed(name) };
});

export function paceOption(fallback: string): Option {
  const names = [...Object.keys(PACE_PROFILES), "off"].join(", ");
  return new Option("--pace <name>", `emulate slower hardware: ${names}`)
    .argParser(namedPace)
    .default(namedPace(fallback), fallback);
}

export function gpuOption(): Option {
  return new Option("--gpu <choice>", "use an installed GPU build of llama.cpp")
    .choices(["auto", "off"])
    .default("auto");
}

export function seedOption(): Option {
  return new Option(
    "--seed <number>",
    "64-bit seed of all random draws (default: a fresh one, reported)",
  ).argParser(checked(toSeed));
}

/** The sampler settings as options, llama.cpp's order and meaning. */
export function addSamplerOptions(command: Command, temperature: number): Command {
  return command
    .addOption(
      setting("--temperature <t>", "0: greedy; 1: the model's own distribution", "temperature").default(
        temperature,
      ),
    )
    .addOption(setting("--top-k <k>", "keep the k likeliest tokens; 0: all", "topK"))
    .addOption(setting("--top-p <p>", "keep the fewest tokens with this much mass; 1: all", "topP"))
    .addOption(
      setting("--min-p <p>", "keep tokens at least this likely relative to the likeliest; 0: all", "minP"),
    )
    .addOption(
      setting("--repetition-penalty <x>", "on logits of tokens seen lately; 1: none", "repetitionPenalty"),
    )
    .addOption(setting("--presence-penalty <x>", "on tokens seen lately; 0: none", "presencePenalty"))
    .addOption(
      setting("--frequency-penalty <x>", "on tokens for each time seen lately; 0: none", "frequencyPenalty"),
    )
    .addOption(
      setting(
        "--penalty-last-n <n>",
        "how many tokens back the penalties look (default: 64)",
        "penaltyLastN",
      ),
    )
    .addOption(
      new Option("--logit-bias <id:bias>", "add to a token's logit; may be given again").argParser(
        (text, previous: [number, number][] | undefined) => [...(previous ?? []), parseBias(text)],
      ),
    );
}

function setting(flags: string, description: string, name: keyof SamplerSettings): Option {
  return new Option(flags, description).argParser(
    checked((text) => {
      if (text.trim() === "") throw new Error("a number is missing");
      return samplerSettings({ [name]: Number(text) })[name];
    }),
  );
}

function parseBias(text: string): [number, number] {
  const match = /^(\d+):(-?\d+(?:\.\d+)?)$/.exec(text);
  if (!match) throw new InvalidArgumentError("It must be a token id and a number, such as 42:-3.5.");
  return [Number(match[1]), Number(match[2])];
}

export interface SamplerOptionValues {
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly penaltyLastN?: number;
  readonly logitBias?: [number, number][];
}

export function samplerFrom(values: SamplerOptionValues): SamplerSettings {
  const { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty } = values;
  const { penaltyLastN, logitBias } = values;
  const given = {
    temperature,
    topK,
    topP,
    minP,
    repetitionPenalty,
    presencePenalty,
    frequencyPenalty,
    penaltyLastN,
    logitBias,
  };
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  return samplerSettings(Object.fromEntries(set) as Partial<SamplerSettings>);
}

export interface GpuValue {
  readonly gpu: GpuChoice;
}

export interface SeedValue {
  readonly seed?: Seed;
}
