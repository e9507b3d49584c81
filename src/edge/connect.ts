import type { Grammars } from "../grammar/grammar.ts";
import type { TargetInfo } from "../protocol/frame.ts";
import { wireLink } from "../protocol/link.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { Transport } from "../transport/transport.ts";
import type { Clock } from "../util/clock.ts";
import type { Drafter } from "./drafters/drafter.ts";
import type { Reconnect } from "./links.ts";
import { RemoteOpener } from "./opener.ts";

/** A connection to a cloud as a promise: for callers that do not live under a clock of their own. */

export interface ConnectOptions {
  /** the opener's from here on */
  readonly transport: Transport;
  /** an empty fingerprint: the edge has none, and will ask the cloud for it */
  readonly tokenizer: Pick<Tokenizer, "fingerprint">;
  readonly drafter: Drafter | null;
  readonly clock: Clock;
  /** name and version of this software */
  readonly client: string;
  /** over the target's vocabulary, for drafts that keep to a grammar */
  readonly grammars?: Grammars | null;
  /** sessions outlive a link that breaks when this is given */
  readonly resume?: ResumeOptions;
  /** the opener is up, down or gone. Default: not told */
  readonly changed?: () => void;
  /** the last resort; see `RemoteOpenerOptions.failed`. Default: faults are thrown to whoever brought the event */
  readonly failed?: (error: unknown) => void;
}

export interface ResumeOptions {
  /** makes a link anew, to the same cloud or one like it: the one at this place in the list of replicas */
  readonly reconnect: (replica: number) => Promise<Transport>;
  /** how long to try for before giving up, ms */
  readonly withinMs: number;
  /** a fresh secret, 16 characters or more that cannot be guessed */
  readonly secret: () => string;
  /** how many clouds serve the target. Default: 1 */
  readonly replicas?: () => number;
  /** which of them `transport` leads to. Default: 0 */
  readonly replica?: number;
  /** for the jitter of waits, [0, 1). Default: no jitter */
  readonly random?: () => number;
  /** what the clouds have to serve. Default: what the first one serves */
  readonly expected?: TargetInfo;
}

/**
 * Connects to a cloud, token by token: `Edge` is the way to text.
 * @throws CloudError when the cloud refuses or does not answer; the transport is closed then
 * @example
 * import { connect, connectEdge, LookupDrafter, POLICIES, samplerSettings, systemClock, toSeed } from "picospec";
 *
 * const opener = await connectEdge({
 *   transport: await connect("ws://127.0.0.1:4747"),
 *   tokenizer: { fingerprint: "" },
 *   drafter: new LookupDrafter(),
 *   clock: systemClock,
 *   client: "example",
 * });
 * const settings = { policy: POLICIES.race, sampler: samplerSettings(), seed: toSeed(1), maxTokens: 16 };
 * opener.open(settings, Int32Array.of(1, 2, 3), {
 *   token: (token) => console.log(token),
 *   finished: () => opener.close(),
 * });
 */
export function connectEdge(options: ConnectOptions): Promise<RemoteOpener> {
  const { transport, tokenizer, resume, drafter, clock, client, grammars = null, changed, failed } = options;
  const { replicas, replica, random, expected } = resume ?? {};
  const reconnect: Reconnect | null = resume
    ? (done, place) =>
        void resume.reconnect(place).then(
          (again) => done(null, wireLink(again)),
          (error: Error) => done(error, null),
        )
    : null;
  return new Promise((resolve, reject) => {
    new RemoteOpener({
      link: wireLink(transport),
      reconnect,
      reconnectWithinMs: resume?.withinMs ?? 0,
      secret: resume?.secret ?? null,
      ...{ drafter, clock, client, grammars },
      ...given({ replicas, replica, random, expected, changed, failed }),
      fingerprint: tokenizer.fingerprint,
      ready: (error, ready) => (error ? reject(error) : resolve(ready)),
    });
  });
}

/** Without the fields that are not given. */
function given<T extends object>(fields: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  const there = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(there) as { [Name in keyof T]?: Exclude<T[Name], undefined> };
}
