import { type Command, InvalidArgumentError, Option } from "commander";
import { type DecodingPolicy, POLICIES, policyNamed } from "../decoding/policy.ts";
import { SESSION_ROWS } from "../decoding/session.ts";
import { keepToCpus } from "../device/cpus.ts";
import {
  type ComputeOptions,
  checkCompute,
  FLASH_ATTENTION,
  KV_TYPES,
  MOST_GPUS,
} from "../engine/llama/compute.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import { HARDWARE_PROFILES, type HardwareProfile, hardwareNamed } from "../engine/paced.ts";
import { type Seed, toSeed } from "../sampling/random.ts";
import { type SamplerSettings, samplerRows, samplerSettings } from "../sampling/settings.ts";
import { messageOf } from "../util/errors.ts";
import type { NumberRow } from "../util/setting.ts";

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

export interface NamedHardware {
  readonly name: string;
  readonly profile: HardwareProfile;
}

/** null: off */
const namedHardware = checked((name): NamedHardware | null => {
  return name === "off" ? null : { name, profile: hardwareNamed(name) };
});

/** `--hardware`, and `--pace` as release 0.1 called it. */
export function addHardwareOption(command: Command, fallback: string): Command {
  const names = [...Object.keys(HARDWARE_PROFILES), "off"].join(", ");
  const option = new Option("--hardware <name>", `emulate slower hardware: ${names}`)
    .argParser(namedHardware)
    .default(namedHardware(fallback), fallback);
  return addRenamedOption(command, option, "--pace <name>");
}

/**
 * Adds an option that also answers to its former flag, which help does not show. Both flags at once are refused: two
 * values for one setting.
 */
export function addRenamedOption(command: Command, option: Option, formerFlags: string): Command {
  const name = option.attributeName();
  const former = new Option(formerFlags).hideHelp().conflicts(name);
  if (option.parseArg) former.argParser(option.parseArg);
  return command
    .addOption(option)
    .addOption(former)
    .hook("preAction", (self) => {
      const value: unknown = self.getOptionValue(former.attributeName());
      if (value !== undefined) self.setOptionValueWithSource(name, value, "cli");
    });
}

/** What the model computes with, beside `--threads`. */
export function addComputeOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--cpus <list>", "processors to keep to, such as 0-3,6; Linux alone (default: all)"),
    )
    .hook("preAction", (self) => {
      const list: unknown = self.getOptionValue("cpus");
      if (list !== undefined) keepToCpus(`${list}`);
    })
    .addOption(
      new Option("--gpu <choice>", "use an installed GPU build of llama.cpp")
        .choices(["auto", "off"])
        .default("auto"),
    )
    .addOption(
      new Option("--gpu-layers <n>", "layers that the GPU computes (default: all)").argParser(
        whole(0, 10_000),
      ),
    )
    .addOption(
      new Option("--main-gpu <n>", "one GPU for the whole model, from 0 (default: all share it)").argParser(
        whole(0, MOST_GPUS - 1),
      ),
    )
    .addOption(
      new Option(
        "--tensor-split <parts>",
        "how much of the model each GPU gets, with commas: 3,1 (default: by their memory)",
      ).argParser(checked(tensorSplit)),
    )
    .addOption(
      new Option(
        "--kv-type <type>",
        "of keys and values: smaller ones are less exact (default: f16)",
      ).choices(KV_TYPES),
    )
    .addOption(
      new Option("--flash-attn <choice>", "flash attention (default: auto)").choices(FLASH_ATTENTION),
    )
    .addOption(new Option("--mlock", "keep the weights in memory, where the system allows that"))
    .addOption(
      new Option(
        "--threads-batch <n>",
        "of the CPU, for passes of more than one token (default: --threads)",
      ).argParser(whole(1, 512)),
    );
}

function tensorSplit(text: string): readonly number[] {
  const parts = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  checkCompute({ tensorSplit: parts }, "auto");
  return parts;
}

export function seedOption(): Option {
  return new Option(
    "--seed <number>",
    "64-bit seed of all random draws (default: a fresh one, reported)",
  ).argParser(checked(toSeed));
}

/** @param most that the command has room for */
export function maxTokensOption(most: number, fallback: number): Option {
  const { flag, help, range } = SESSION_ROWS.maxTokens;
  return new Option(flag, help).argParser(whole(range.least, most)).default(fallback);
}

/** The sampler settings as options, one a row; the temperature's default is the command's. */
export function addSamplerOptions(command: Command, temperature: number): Command {
  for (const [name, row] of samplerRows) {
    if (row.flag === undefined) continue;
    if (row.kind === "pairs") command.addOption(new Option(row.flag, row.help).argParser(biases));
    else if (name === "temperature") {
      command.addOption(new Option(row.flag, row.help).argParser(oneSetting(name)).default(temperature));
    } else command.addOption(new Option(row.flag, helpOf(row)).argParser(oneSetting(name)));
  }
  return command;
}

/** With the default and what it does. */
function helpOf(row: NumberRow): string {
  const means = row.defaultMeans;
  return means === undefined
    ? `${row.help} (default: ${row.default})`
    : `${row.help}; ${row.default}: ${means}`;
}

function oneSetting(name: keyof SamplerSettings): (text: string) => unknown {
  return checked((text) => {
    if (text.trim() === "") throw new Error("a number is missing");
    return samplerSettings({ [name]: Number(text) })[name];
  });
}

function biases(text: string, previous: [number, number][] = []): [number, number][] {
  const logitBias = [...previous, parseBias(text)];
  return checked(() => {
    samplerSettings({ logitBias });
    return logitBias;
  })(text);
}

function parseBias(text: string): [number, number] {
  const match = /^(\d+):(-?\d+(?:\.\d+)?)$/.exec(text);
  if (!match) throw new InvalidArgumentError("It must be a token id and a number, such as 42:-3.5.");
  return [Number(match[1]), Number(match[2])];
}

export type SamplerOptionValues = Partial<SamplerSettings>;

/** Of a command's values, which have more than the sampler's. */
export function samplerFrom(values: SamplerOptionValues): SamplerSettings {
  const given = samplerRows
    .map(([name]) => [name, values[name]] as const)
    .filter(([, value]) => value !== undefined);
  return samplerSettings(Object.fromEntries(given));
}

export interface GpuValue extends ComputeOptions {
  readonly gpu: GpuChoice;
}

export interface SeedValue {
  readonly seed?: Seed;
}
