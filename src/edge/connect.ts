import type { Grammars } from "../grammar/grammar.ts";
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
}

export interface ResumeOptions {
  /** makes a link anew, to the same cloud or one like it */
  readonly reconnect: () => Promise<Transport>;
  /** how long to try for before giving up, ms */
  readonly withinMs: number;
  /** a fresh secret, 16 characters or more that cannot be guessed */
  readonly secret: () => string;
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
  const { transport, tokenizer, resume, drafter, clock, client, grammars = null } = options;
  const reconnect: Reconnect | null = resume
    ? (done) =>
        void resume.reconnect().then(
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
      fingerprint: tokenizer.fingerprint,
      ready: (error, ready) => (error ? reject(error) : resolve(ready)),
    });
  });
}
