import { GRAMMAR_KINDS } from "../decoding/grammar.ts";
import type { SessionSettings } from "../decoding/session.ts";
import { DEFAULT_SAMPLER, SAMPLER_ROWS, type SamplerSettings } from "../sampling/settings.ts";
import type { SettingRow } from "../util/setting.ts";
import {
  type HelloFrame,
  type OpenFrame,
  type PeerLimits,
  PROTOCOL_LIMITS,
  type WelcomeFrame,
} from "./frame.ts";

/**
 * How peers of different releases agree. `hello` and `welcome` list features by name; a feature is used only when both
 * sides listed it. A peer without a list is of release 0.1.
 */

/** Sampler settings of release 0.1. Each one added since is a feature, `sampler:NAME`. */
const SAMPLER_0_1: ReadonlySet<string> = new Set(
  Object.entries<SettingRow>(SAMPLER_ROWS)
    .filter(([, { since }]) => since === undefined)
    .map(([name]) => name),
);

/** Names of the sampler settings that release 0.1 does not have. */
const LATER_SAMPLER_SETTINGS: readonly string[] = Object.keys(DEFAULT_SAMPLER).filter(
  (name) => !SAMPLER_0_1.has(name),
);

/** What this release lists. A name is stable: once listed it keeps its meaning. */
export const FEATURES: readonly string[] = [
  "go-away",
  "grammar-kinds",
  ...GRAMMAR_KINDS.filter((kind) => kind !== "ebnf").map((kind) => `grammar:${kind}`),
  "identity",
  ...LATER_SAMPLER_SETTINGS.map((name) => `sampler:${name}`),
  "vocabulary",
];

/** The bounds of this release's frames. They are release 0.1's too, which named no number of sessions. */
export const OWN_LIMITS: PeerLimits = {
  frameBytes: PROTOCOL_LIMITS.frameBytes,
  promptTokens: PROTOCOL_LIMITS.promptTokens,
  draftTokens: PROTOCOL_LIMITS.draftTokens,
  sessions: PROTOCOL_LIMITS.counter,
};

/** What is agreed with a peer. */
export interface Peer {
  /** name and version of its software */
  readonly software: string;
  /** listed by both sides */
  readonly features: ReadonlySet<string>;
  /** the smaller of both sides' */
  readonly limits: PeerLimits;
}

/** What a hello or a welcome agrees on. Features that this release does not know are ignored. */
export function peerOf(frame: HelloFrame | WelcomeFrame): Peer {
  const { features = [], limits = {} } = frame;
  const least = (name: keyof PeerLimits) => Math.min(OWN_LIMITS[name], limits[name] ?? OWN_LIMITS[name]);
  return {
    software: frame.type === "hello" ? frame.client : frame.server,
    features: new Set(features.filter((name) => FEATURES.includes(name))),
    limits: {
      frameBytes: least("frameBytes"),
      promptTokens: least("promptTokens"),
      draftTokens: least("draftTokens"),
      sessions: least("sessions"),
    },
  };
}

/** A feature that a session needs, and the setting that asks for it. */
export interface NeededFeature {
  readonly feature: string;
  readonly setting: string;
}

/** What the peer has to have for these settings: a peer without would drop them, and answer something else. */
export function neededFeatures({ sampler, grammar }: Pick<SessionSettings, "sampler" | "grammar">) {
  const needed: NeededFeature[] = samplerNames(sampler)
    .filter((name) => !SAMPLER_0_1.has(name))
    .map((name) => ({ feature: `sampler:${name}`, setting: name }));
  if (grammar && grammar.kind !== "ebnf") {
    needed.push({ feature: `grammar:${grammar.kind}`, setting: "grammar" });
  }
  return needed;
}

/** What an `open` uses of what both sides have to list; an EBNF grammar as plain text uses nothing. */
export function usedFeatures({ settings, plainGrammar = false }: OpenFrame): NeededFeature[] {
  const needed = neededFeatures(settings);
  if (settings.grammar && !plainGrammar) needed.push({ feature: "grammar-kinds", setting: "grammar" });
  return needed;
}

/** The sampler settings as they travel: what release 0.1 lacks only where it is not at its default. */
export function sentSampler(sampler: SamplerSettings): Partial<SamplerSettings> {
  const names = new Set(samplerNames(sampler));
  return Object.fromEntries(Object.entries(sampler).filter(([name]) => names.has(name)));
}

/** Those of release 0.1, and of the others what is not at its default. */
function samplerNames(sampler: SamplerSettings): string[] {
  return Object.entries(sampler)
    .filter(([name, value]) => SAMPLER_0_1.has(name) || !isDefault(name, value))
    .map(([name]) => name);
}

function isDefault(name: string, value: unknown): boolean {
  if (value === undefined) return true;
  if (!Object.hasOwn(DEFAULT_SAMPLER, name)) return false;
  return JSON.stringify(value) === JSON.stringify(DEFAULT_SAMPLER[name as keyof SamplerSettings]);
}
