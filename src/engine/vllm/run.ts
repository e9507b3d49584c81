import { createHash } from "node:crypto";
import type { Grammar } from "../../decoding/grammar.ts";
import { limitPosition } from "../../decoding/session.ts";
import { seedText } from "../../sampling/random.ts";
import type { CancelTimer, Clock } from "../../util/clock.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";
import { EngineError } from "../engine.ts";
import { GRAMMAR_LOST, type LiveListener, type LiveRequest, type LiveRun, REFUSED } from "../live-engine.ts";
import { type Asked, type Chunk, chunkOf, STRANGE_TOKENS } from "./dialects.ts";
import { LostRequest, type OpenStream } from "./http.ts";
import type { Mailbox, MailboxSession } from "./mailbox.ts";
import { PrefixHash } from "./prefix-hash.ts";
import { samplingFields } from "./settings.ts";
import type { Upstream, Upstreams } from "./upstream.ts";

/** Tries in a row that commit nothing, before a run fails. */
const MOST_TRIES = 4;
/** Before another try once all servers were tried, ms; each wait is twice the one before it. */
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
  readonly saltOf: (principal: string, isKeyed: boolean) => string;
  /** ids of tokens are less than this */
  readonly vocabularySize: number;
  /** a line for the operator */
  readonly told: (line: string) => void;
}

/**
 * One run: a request to a server, and drafts for it in the mailbox of the process that it is in. A request that is lost
 * is made again from what is committed, at another server where there is one: what was committed stays, and what follows
 * is drawn anew. With a grammar that is so until the first token alone.
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
  /** a second request would begin the grammar anew */
  private readonly isOneRequest: boolean;
  /** tokens that the request began with */
  private begunAt = 0;
  /** the server has ended the request: there is nothing to abort */
  private isOver = false;
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
    this.isOneRequest = request.settings.grammar !== undefined;
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
    const { server, id, isOver } = this;
    this.end();
    // Hanging up ends it as well, but a proxy in between may not notice at once.
    if (server && !isOver) this.context.upstreams.abort(server, server.facts.dialect.engineRequestId(id));
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

  /** @param after the server that has lost it; null: none has */
  private begin(after: Upstream | null): void {
    const { upstreams, freshId, vocabularySize } = this.context;
    const tokens = this.tokens.view();
    const server = upstreams.choose(tokens, this.request.principal, after);
    const { dialect } = server.facts;
    const { mailbox, headers } = server.seat();
    this.server = server;
    server.runs++;
    this.id = freshId();
    this.isOver = false;
    this.begunAt = tokens.length;
    this.mailbox = mailbox;
    this.mail = mailbox?.begin(dialect.engineRequestId(this.id)) ?? null;
    const asked = this.asked(server, tokens);
    const expected = { logprobs: asked.logprobs, vocabularySize };
    // vLLM takes the header before the body's own id, and a proxy may set one where there is none.
    const named = { ...headers, "x-request-id": this.id };
    this.stream = server.http.stream(dialect.path, dialect.body(asked), named, {
      event: (json) => this.told(chunkOf(dialect, json, expected)),
      ended: () => this.lost(new LostRequest(`${server.http.name} broke off its answer`)),
      failed: (error) => this.lost(error),
    });
  }

  /** @returns whether that says anything */
  private told(chunk: Chunk): boolean {
    const { tokens, finish } = chunk;
    this.isOver = finish !== null;
    if (tokens.length > 0) this.commit(chunk);
    if (finish !== null && this.open) this.finished(finish);
    return tokens.length > 0 || finish !== null;
  }

  /** The server ends the request, which the session has not ended with its last token. */
  private finished(reason: string): void {
    const name = this.server?.http.name;
    const { length } = this.tokens;
    if (!COMPLETE.includes(reason)) throw new LostRequest(`${name} ended the request (${reason})`);
    if (reason === "length" && length < limitPosition(this.request.rule)) {
      // A bound of the server's own, below the one that we asked for: it goes on behind that.
      if (length === this.begunAt || this.isOneRequest) {
        throw new LostRequest(`${name} ended the request at a bound of its own; see its max_new_tokens`);
      }
      this.hangUp();
      this.begin(null);
      return;
    }
    this.end();
    this.listener.ended();
  }

  private lost(error: EngineError): void {
    if (!this.open) return;
    const { server } = this;
    this.hangUp();
    const { clock, upstreams } = this.context;
    if (server && error instanceof LostRequest && error.rests) upstreams.rest(server, error.message);
    const { length } = this.tokens;
    if (length >= limitPosition(this.request.rule)) {
      // Complete, but for the word that says so.
      this.end();
      this.listener.ended();
    } else if (error.code === REFUSED) this.fail(error, withoutName(error, server));
    else if (this.isOneRequest && length > this.request.rule.promptLength) {
      this.fail(error, new EngineError(GRAMMAR_LOST, "the request was lost in the middle of a grammar"));
    } else if (error.code === STRANGE_TOKENS || ++this.tries >= MOST_TRIES) {
      this.fail(error, new EngineError(error.code, CLIENT_TEXT[error.code] ?? NO_ANSWER));
    } else {
      const isNext = this.tries < upstreams.all.length && upstreams.hasAnother(server);
      const waitMs = isNext ? 0 : FIRST_WAIT_MS * 2 ** Math.max(0, this.tries - upstreams.all.length);
      this.cancelTimer = clock.schedule(clock.nowMs() + waitMs, () => this.begin(server));
    }
  }

  /** @param error for the operator @param told for the client: where a server is, and what it says, is not its affair */
  private fail(error: EngineError, told: EngineError): void {
    this.end();
    if (error.code !== REFUSED) this.context.told(`a session has failed: ${error.message}`);
    this.listener.failed(told);
  }

  private asked({ facts }: Upstream, tokens: Int32Array): Asked {
    const { settings, rule, principal, isKeyed = false } = this.request;
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
      cacheSalt: this.context.saltOf(principal, isKeyed),
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

/** What a client is told of a failure: the operator has the rest. */
const NO_ANSWER = "the engine does not answer as it should; try again later";
const CLIENT_TEXT: Readonly<Record<string, string>> = {
  [STRANGE_TOKENS]: "the engine gave a token that the vocabulary has not",
};

/** The server's own words reach a client where they say what is wrong with its settings or its grammar. */
function withoutName({ code, message }: EngineError, server: Upstream | null): EngineError {
  return new EngineError(code, server ? message.replaceAll(server.http.name, "the engine") : message);
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
