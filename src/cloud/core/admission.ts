import type { SessionSettings } from "../../decoding/session.ts";
import { type Capabilities, checkCapabilities, UnsupportedError } from "../../engine/capabilities.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { type Peer, usedFeatures } from "../../protocol/features.ts";
import type { OpenFrame, TargetInfo } from "../../protocol/frame.ts";
import type { RegistryLimits } from "./registry.ts";

/** Whether a session may be opened, by what it asks and by how many there are. */

/** What a verdict holds besides all of p, at most: tokens, their logprobs, a head and witnesses. */
const VERDICT_BYTES = 256 * 1024;

export interface AdmissionState {
  readonly target: TargetInfo;
  readonly limits: RegistryLimits;
  readonly capabilities: Capabilities;
  readonly peer: Peer;
  /** most tokens of a session of this connection */
  readonly contextTokens: number;
  /** sessions that are open, without the one that is resumed */
  readonly open: number;
  readonly openOfConnection: number;
}

/** Why a session cannot be had; null: it can. */
export function openingRefusal(frame: OpenFrame, state: AdmissionState): ProtocolError | null {
  const { target, limits, contextTokens } = state;
  const { settings, tokens } = frame;
  if (!settings.policy.target) return new ProtocolError("bad_setting", "this policy wants no cloud");
  const unsupported = peerProblem(frame, state.peer, target.vocabularySize);
  if (unsupported !== null) return new ProtocolError("unsupported", unsupported);
  const promptTokens = frame.resume?.promptTokens ?? tokens.length;
  const sequenceTokens = Math.min(contextTokens, promptTokens + settings.maxTokens);
  const lacking = lack(state.capabilities, settings, target.name, sequenceTokens);
  if (lacking) return lacking;
  if (state.open >= limits.sessions) {
    const message = `all ${limits.sessions} sessions of this cloud are taken; try again later`;
    return new ProtocolError("server_full", message);
  }
  if (state.openOfConnection >= limits.sessionsPerConnection) {
    const message = `a connection has at most ${limits.sessionsPerConnection} sessions at a time`;
    return new ProtocolError("too_many_sessions", message);
  }
  if (tokens.length >= contextTokens) {
    const message = `the prompt has ${tokens.length} tokens, and the context of ${contextTokens} leaves no room for an answer; shorten the prompt`;
    return new ProtocolError("prompt_too_long", message);
  }
  const stranger = tokens.find((token) => token >= target.vocabularySize);
  return stranger === undefined ? null : new ProtocolError("bad_frame", `there is no token ${stranger}`);
}

/** What the engine lacks for a session, or null. */
function lack(
  able: Capabilities,
  settings: SessionSettings,
  engine: string,
  sequenceTokens: number,
): ProtocolError | null {
  try {
    checkCapabilities(able, settings, engine, sequenceTokens);
    return null;
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    return new ProtocolError("unsupported", error.message);
  }
}

/** What a session would need that is not agreed with its edge; null: nothing. */
function peerProblem(frame: OpenFrame, { features, limits }: Peer, vocabularySize: number): string | null {
  const missing = usedFeatures(frame).find(({ feature }) => !features.has(feature));
  if (missing) {
    return `${missing.setting} needs the feature ${missing.feature}, which this edge and this cloud did not both list`;
  }
  // After a rejection an edge may ask for all of p.
  const rowBytes = frame.settings.policy.coupling === "gumbel" ? 0 : 4 * vocabularySize;
  const mostBytes = VERDICT_BYTES + rowBytes;
  if (mostBytes <= limits.frameBytes) return null;
  return `this edge accepts frames of ${limits.frameBytes} bytes, and this session may need ${mostBytes}; raise its frameBytes`;
}
