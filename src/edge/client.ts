import { checkPolicy } from "../decoding/policy.ts";
import type { SessionSettings, StopRule } from "../decoding/session.ts";
import { decode } from "../protocol/decode.ts";
import { encode } from "../protocol/encode.ts";
import { type Frame, PROTOCOL_VERSION, type TargetInfo } from "../protocol/frame.ts";
import type { Transport } from "../transport/transport.ts";
import { unreachable } from "../util/assert.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";
import { messageOf, PicoSpecError, SettingError } from "../util/errors.ts";
import { checkDraftSize, frameProblem } from "./boundary.ts";
import type { ParallelDrafter } from "./parallel-drafter.ts";
import { EdgeSession, type SessionListener } from "./session.ts";

const HANDSHAKE_TIMEOUT_MS = 15_000;
/** How often the cloud is asked whether it is there, while something is expected of it. */
const PING_MS = 5_000;
const SILENT_AFTER_MS = 20_000;

/** The cloud refused the edge, went away, or broke the protocol. `code` is the cloud's own where it gave one. */
export class CloudError extends PicoSpecError {
  override readonly name = "CloudError";
}

export interface EdgeClientOptions {
  /** the client's from here on; it closes it */
  readonly transport: Transport;
  /** of the drafter's tokenizer */
  readonly fingerprint: string;
  /** null: only policies that draft nothing */
  readonly drafter: ParallelDrafter | null;
  readonly clock: Clock;
  /** name and version of this software */
  readonly client: string;
  /** the cloud has accepted the edge, or has not; called once */
  readonly ready: (error: CloudError | null, client: EdgeClient) => void;
}

/** One connection to a cloud, with any number of sessions over it. */
export class EdgeClient {
  private readonly options: EdgeClientOptions;
  private readonly sessions = new Map<number, EdgeSession>();
  private welcome: TargetInfo | null = null;
  private nextSession = 1;
  private failure: CloudError | null = null;
  private lastHeardMs: number;
  private cancelTimer: CancelTimer;
  private roundTripMs = -1;

  constructor(options: EdgeClientOptions) {
    this.options = options;
    const { transport, fingerprint, clock, client } = options;
    this.lastHeardMs = clock.nowMs();
    this.cancelTimer = clock.schedule(clock.nowMs() + HANDSHAKE_TIMEOUT_MS, () =>
      this.fail("unreachable", "the cloud does not answer; is it a PicoSpec cloud?"),
    );
    transport.start({
      message: (bytes) => this.receive(bytes),
      closed: (reason) => this.fail("connection_lost", reason),
    });
    this.send({ type: "hello", protocol: PROTOCOL_VERSION, client, fingerprint });
  }

  /** What the cloud said of its target; only once it is ready. */
  get target(): TargetInfo {
    if (!this.welcome) throw new CloudError("not_ready", "the cloud has not answered yet");
    return this.welcome;
  }

  /** Latest round trip of a ping, ms; -1 before the first. */
  get rttMs(): number {
    return this.roundTripMs;
  }

  /**
   * Opens a session. Everything that happens to it, refusal by the cloud included, is told to the listener.
   * @throws SettingError for a policy or a prompt that cannot be
   * @throws CloudError when the connection is gone
   */
  open(settings: SessionSettings, prompt: Int32Array, listener: SessionListener): EdgeSession {
    if (this.failure) throw this.failure;
    const { target } = this;
    const { drafter, clock } = this.options;
    const policy = checkPolicy(settings.policy);
    if (policy.segmentTokens > 0 && !drafter) {
      throw new SettingError("policy", "this policy drafts, and there is no drafter: give a --model");
    }
    checkDraftSize(policy, target.vocabularySize);
    if (prompt.length === 0) throw new SettingError("prompt", "the prompt is empty");
    const rule: StopRule = {
      promptLength: prompt.length,
      maxTokens: settings.maxTokens,
      contextTokens: target.contextTokens,
      endTokens: new Set(target.endTokens),
    };
    const id = this.nextSession++;
    const session = new EdgeSession({
      id,
      settings,
      prompt,
      rule,
      drafter: policy.segmentTokens > 0 ? drafter : null,
      vocabularySize: target.vocabularySize,
      clock,
      send: (frame) => this.sendCounted(session, frame),
      listener: {
        ...listener,
        token: (token, origin, position) => listener.token?.(token, origin, position),
        discarded: (tokens, position) => listener.discarded?.(tokens, position),
        finished: (outcome, statistics) => {
          this.sessions.delete(id);
          listener.finished(outcome, statistics);
        },
      },
    });
    this.sessions.set(id, session);
    this.send({ type: "open", session: id, settings, prompt });
    session.start();
    if (this.sessions.size === 1) {
      // Silence only counts while something is expected.
      this.lastHeardMs = clock.nowMs();
      this.watch();
    }
    return session;
  }

  /** Ends every session and the connection. */
  close(): void {
    for (const session of [...this.sessions.values()]) session.cancel();
    this.failure ??= new CloudError("closed", "this connection was closed");
    this.cancelTimer();
    this.options.transport.close();
  }

  private receive(bytes: Uint8Array): void {
    this.lastHeardMs = this.options.clock.nowMs();
    let frame: Frame;
    try {
      frame = decode(bytes);
    } catch (error) {
      this.fail("bad_frame", messageOf(error));
      return;
    }
    this.take(frame, bytes.length);
  }

  private take(frame: Frame, size: number): void {
    switch (frame.type) {
      case "welcome":
        this.greeted(frame.protocol, frame.target);
        break;
      case "verdict":
      case "witnesses":
      case "done":
      case "error": {
        if (frame.session === 0 && frame.type === "error") {
          this.fail(frame.code, frame.message);
          break;
        }
        const session = this.sessions.get(frame.session);
        if (!session) break; // it was cancelled while the frame was on its way
        if (frame.type === "verdict" || frame.type === "witnesses") {
          const problem = frameProblem(frame, this.target.vocabularySize);
          if (problem) {
            this.fail("bad_verdict", problem);
            break;
          }
          session.statistics.downlinkBytes += size;
        }
        session.receive(frame);
        break;
      }
      case "pong":
        this.roundTripMs = this.options.clock.nowMs() - frame.sentAtMs;
        break;
      case "ping":
        this.send({ type: "pong", sentAtMs: frame.sentAtMs });
        break;
      case "hello":
      case "open":
      case "draft":
      case "witnessRequest":
      case "cancel":
        this.fail("unexpected_frame", `a cloud sends no ${frame.type}`);
        break;
      default:
        unreachable(frame);
    }
  }

  private greeted(protocol: number, target: TargetInfo): void {
    if (this.welcome) return;
    if (protocol !== PROTOCOL_VERSION) {
      this.fail(
        "protocol_version",
        `the cloud speaks protocol ${protocol}, and this edge ${PROTOCOL_VERSION}`,
      );
      return;
    }
    this.welcome = target;
    this.cancelTimer();
    this.options.ready(null, this);
  }

  /** Asks the cloud from time to time whether it is there; a link can die without a word. */
  private watch(): void {
    const { clock } = this.options;
    this.cancelTimer();
    if (this.sessions.size === 0 || this.failure) return;
    const silentMs = clock.nowMs() - this.lastHeardMs;
    if (silentMs > SILENT_AFTER_MS) {
      this.fail("connection_lost", `the cloud has said nothing for ${Math.round(silentMs / 1000)} s`);
      return;
    }
    this.send({ type: "ping", sentAtMs: clock.nowMs() });
    this.cancelTimer = clock.schedule(clock.nowMs() + PING_MS, () => this.watch());
  }

  private sendCounted(session: EdgeSession, frame: Frame): void {
    const bytes = encode(frame);
    if (frame.type !== "cancel") session.statistics.uplinkBytes += bytes.length;
    this.options.transport.send(bytes);
  }

  private send(frame: Frame): void {
    this.options.transport.send(encode(frame));
  }

  private fail(code: string, message: string): void {
    if (this.failure) return;
    this.failure = new CloudError(code, message);
    this.cancelTimer();
    this.options.transport.close();
    for (const session of [...this.sessions.values()]) session.lost(code, message);
    if (!this.welcome) this.options.ready(this.failure, this);
  }
}
