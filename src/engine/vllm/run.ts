import { createHash } from "node:crypto";
import type { Grammar } from "../../decoding/grammar.ts";
import { limitPosition } from "../../decoding/session.ts";
import { seedText } from "../../sampling/random.ts";
import type { CancelTimer, Clock } from "../../util/clock.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";
import { EngineError } from "../engine.ts";
import type { LiveListener, LiveRequest, LiveRun } from "../live-engine.ts";
import { type Asked, type Chunk, chunkOf } from "./dialects.ts";
import { AWAY, type OpenStream } from "./http.ts";
import type { Mailbox, MailboxSession } from "./mailbox.ts";
import { PrefixHash } from "./prefix-hash.ts";
import { samplingFields } from "./settings.ts";
import type { Upstream, Upstreams } from "./upstream.ts";

/** Tries in a row that commit nothing, before a run fails. */
const MOST_TRIES = 4;
/** Before the second try at the only server, ms; each wait is twice the one before it. */
const FIRST_WAIT_MS = 250;

/** Why vLLM ends a request that is complete. Anything else (`abort`, `error`) is a loss. */
const COMPLETE = ["stop", "length"];

export interface RunContext {
  readonly upstreams: Upstreams;
  readonly clock: Clock;
  /** most tokens of a step that is told, and most drafts of an offer, less one */
  readonly stepTokens: number;
  /** a name for a request that no other has */
  readonly freshId: () => string;
  /** what keeps the prefix cache of one principal apart from another's */
  readonly saltOf: (principal: string) => string;
}

/**
 * One run: a request to a server, and drafts for it in the mailbox of the process that it is in. A request that is lost
 * is made again from what is committed, at another server where there is one: what was committed stays, and what follows
 * is drawn anew.
 */
export class VllmRun implements LiveRun {
  private readonly context: RunContext;
  private readonly request: LiveRequest;
  private readonly listener: LiveListener;
  private readonly over: () => void;
  private readonly tokens: TokenBuffer;
  private server: Upstream | null = null;
  private stream: OpenStream | null = null;
  private id = "";
  private mailbox: Mailbox | null = null;
  private mail: MailboxSession | null = null;
  private hash: { readonly key: bigint; readonly of: PrefixHash; length: number } | null = null;
  private open = true;
  private tries = 0;
  private cancelTimer: CancelTimer = () => {};
  /** where the drafts that were offered last end */
  private offeredTo = 0;

  /** @param over called once, when it is over by itself or by `cancel` */
  constructor(context: RunContext, request: LiveRequest, listener: LiveListener, over: () => void) {
    this.context = context;
    this.request = request;
    this.listener = listener;
    this.over = over;
    this.tokens = new TokenBuffer(request.tokens);
    this.begin(null);
  }

  offer(position: number, tokens: Int32Array): void {
    const ready = this.mailbox?.ready;
    if (!this.open || !ready || !this.mail) return;
    const committed = this.tokens.length;
    // What is committed meanwhile is skipped where it is the same; else the rest follows another text.
    const skipped = committed - position;
    if (skipped < 0 || skipped >= tokens.length) return;
    for (let i = 0; i < skipped; i++) if (this.tokens.at(position + i) !== tokens[i]) return;
    this.offeredTo = position + tokens.length;
    this.mail.offer(committed, this.hashAt(ready.key), tokens.subarray(skipped));
  }

  cancel(): void {
    if (!this.open) return;
    const { server, id } = this;
    this.end();
    const dialect = server?.facts.dialect;
    // Hanging up ends it as well, but a proxy in between may not notice at once.
    if (!server || !dialect || dialect.abortPath === null) return;
    const request_ids = [dialect.engineRequestId(id)];
    server.http.ask(dialect.abortPath, { request_ids }).catch(() => {});
  }

  private end(): void {
    this.open = false;
    this.hangUp();
    this.over();
  }

  private hangUp(): void {
    this.cancelTimer();
    this.stream?.close();
    this.stream = null;
    this.mail?.end();
    this.mail = null;
    if (this.server) this.server.runs--;
    this.server = null;
  }

  /** @param after the server that has lost it; null: it is new */
  private begin(after: Upstream | null): void {
    const { upstreams, freshId } = this.context;
    const tokens = this.tokens.view();
    const server = upstreams.choose(tokens, this.request.principal, after);
    const { dialect } = server.facts;
    const { mailbox, headers } = server.seat();
    this.server = server;
    server.runs++;
    this.id = freshId();
    this.mailbox = mailbox;
    this.mail = mailbox?.begin(dialect.engineRequestId(this.id)) ?? null;
    const asked = this.asked(server, tokens);
    let isComplete = false;
    this.stream = server.http.stream(dialect.path, dialect.body(asked), headers, {
      event: (json) => {
        const chunk = chunkOf(dialect, json, asked.logprobs);
        if (chunk.tokens.length > 0) this.commit(chunk);
        if (chunk.finish === null || !this.open) return;
        if (!COMPLETE.includes(chunk.finish)) {
          throw new EngineError(AWAY, `${server.http.name} ended the request (${chunk.finish})`);
        }
        isComplete = true;
        this.end();
        this.listener.ended();
      },
      ended: () => {
        if (!isComplete) this.lost(new EngineError(AWAY, `${server.http.name} broke off its answer`));
      },
      failed: (error) => this.lost(error),
    });
  }

  private lost(error: EngineError): void {
    if (!this.open) return;
    const { server } = this;
    this.hangUp();
    const { clock, upstreams } = this.context;
    if (this.tokens.length >= limitPosition(this.request.rule)) {
      // Complete, but for the word that says so.
      this.end();
      this.listener.ended();
      return;
    }
    if (error.code !== AWAY || ++this.tries >= MOST_TRIES) {
      this.open = false;
      this.over();
      this.listener.failed(withoutName(error, server));
      return;
    }
    const waitMs = upstreams.all.length > 1 ? 0 : FIRST_WAIT_MS * 2 ** (this.tries - 1);
    this.cancelTimer = clock.schedule(clock.nowMs() + waitMs, () => this.begin(server));
  }

  private asked({ facts }: Upstream, tokens: Int32Array): Asked {
    const { settings, rule, principal } = this.request;
    const { sampler, grammar, logprobs = null, seed, policy } = settings;
    // Drafts use up the engine's noise as they are rejected: then no seed would make a text come again.
    const isAlone = policy.segmentTokens === 0 || this.mailbox === null;
    return {
      id: this.id,
      model: facts.model,
      tokens,
      maxTokens: limitPosition(rule) - tokens.length,
      endTokens: [...rule.endTokens],
      sampling: samplingFields(sampler),
      structured: grammar ? structured(grammar) : null,
      logprobs,
      seed: isAlone ? seedAt(seedText(seed), tokens.length) : null,
      cacheSalt: this.context.saltOf(principal),
    };
  }

  /** Tells a step, in parts where it is more than one step can be: a slow reader gets several at a time. */
  private commit({ tokens, logprobs }: Chunk): void {
    this.tries = 0;
    const { stepTokens } = this.context;
    for (let from = 0; from < tokens.length && this.open; from += stepTokens) {
      const to = Math.min(tokens.length, from + stepTokens);
      const part = Int32Array.from(tokens.slice(from, to));
      const first = this.tokens.length;
      for (const token of part) this.tokens.push(token);
      const drafts = Math.min(this.offeredTo - first, this.mailbox?.ready?.stepDrafts ?? 0);
      this.listener.committed({
        first,
        tokens: part,
        logprobs: logprobs?.slice(from, to) ?? null,
        rows: Math.max(part.length, 1 + Math.max(0, drafts)),
      });
    }
  }

  /** Of what is committed. @param key the engine's: another one after it was started anew */
  private hashAt(key: bigint): bigint {
    if (this.hash?.key !== key) this.hash = { key, of: new PrefixHash(key), length: 0 };
    const { hash, tokens } = this;
    for (; hash.length < tokens.length; hash.length++) hash.of.push(tokens.at(hash.length));
    return hash.of.value;
  }
}

/** Where a server is, is the operator's affair: what a session fails with goes to its client. */
function withoutName(error: EngineError, server: Upstream | null): EngineError {
  const message = server ? error.message.replaceAll(server.http.name, "the engine") : error.message;
  return new EngineError(error.code, message, { cause: error });
}

/** What vLLM's structured outputs call our kinds of grammars. */
const STRUCTURED = { ebnf: "grammar", json_schema: "json", regex: "regex" } as const;

/** Kinds of grammars that vLLM takes. Its Lark is another dialect, by the backend that a server has. */
export const GRAMMARS = Object.keys(STRUCTURED) as (keyof typeof STRUCTURED)[];

function structured({ kind, source }: Grammar): Record<string, string> {
  return { [STRUCTURED[kind as keyof typeof STRUCTURED]]: source };
}

/**
 * A run that goes on from another's tokens draws other noise than that did: with the same a token would not be
 * independent of those before it.
 */
function seedAt(seed: string, position: number): number {
  return createHash("sha256").update(`${seed} ${position}`).digest().readUIntBE(0, 6);
}
