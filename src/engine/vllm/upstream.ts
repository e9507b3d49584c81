import { assert } from "../../util/assert.ts";
import type { Clock } from "../../util/clock.ts";
import { blocksOf, chooseServer, SentPrefixes } from "./balance.ts";
import type { HttpServer } from "./http.ts";
import type { Mailbox } from "./mailbox.ts";
import { mailboxesLack } from "./mailbox-lacks.ts";
import type { ServerFacts } from "./probe.ts";

/** One vLLM, as this gateway knows it: how to ask it, its mailboxes, what it has to do. */
export class Upstream {
  readonly http: HttpServer;
  readonly facts: ServerFacts;
  /** one for each of its engine processes; none: drafts are not used there */
  readonly mailboxes: readonly Mailbox[];
  readonly sent = new SentPrefixes();
  /** runs of ours that are open there */
  runs = 0;
  /** until when no run begins there, since it did not answer */
  restsUntilMs = Number.NEGATIVE_INFINITY;

  private readonly told: (line: string) => void;
  private readonly lacksTold = new Set<string>();
  private vocabularySize: number | null = null;

  /** @param told a line for the operator: what of the mailboxes does not fit */
  constructor(
    http: HttpServer,
    facts: ServerFacts,
    mailboxes: readonly Mailbox[],
    told: (line: string) => void,
  ) {
    this.http = http;
    this.facts = facts;
    this.mailboxes = mailboxes;
    this.told = told;
    for (const mailbox of mailboxes) mailbox.onReady(() => this.tellLacks());
  }

  /** The size of its model's vocabulary: a mailbox that has another is another model's. */
  expectVocabulary(size: number): void {
    this.vocabularySize = size;
    this.tellLacks();
  }

  private tellLacks(): void {
    for (const line of mailboxesLack(this.http.name, this.mailboxes, this.vocabularySize)) {
      // Each once: an operator acts on the first. Plugins that change all the time are not told without end.
      if (this.lacksTold.has(line) || this.lacksTold.size >= MOST_LACKS) continue;
      this.lacksTold.add(line);
      this.told(line);
    }
  }

  /**
   * The mailbox of the process that a run will be in, and what tells vLLM so. With several processes a run is bound to
   * one whose mailbox is open, since drafts in another's would be of no use.
   */
  seat(): { readonly mailbox: Mailbox | null; readonly headers: Readonly<Record<string, string>> } {
    const open = this.mailboxes.filter(({ ready }) => ready !== null);
    const mailbox = open.reduce<Mailbox | null>(
      (least, one) => (least === null || one.open < least.open ? one : least),
      null,
    );
    const { rank = 0, ranks = 1 } = mailbox?.ready ?? {};
    // To bind runs to a part of the processes would leave the others idle.
    const isBound = ranks > 1 && new Set(open.map(({ ready }) => ready?.rank)).size === ranks;
    return { mailbox, headers: isBound ? { "X-data-parallel-rank": `${rank}` } : {} };
  }

  close(): void {
    for (const mailbox of this.mailboxes) mailbox.close();
    this.http.close();
  }
}

/** Lines of one server. */
const MOST_LACKS = 8;

/** How long a server rests that did not answer, ms. */
const REST_MS = 2000;
/** Requests to abort others that a server has not answered; and names that wait for that. */
const ABORTS = { requests: 2, names: 1024 } as const;

export interface UpstreamsOptions {
  readonly clock: Clock;
  /** of the hash that prompts are compared by: 1 < key < 2^61 - 1 */
  readonly key: bigint;
  /** most runs on one server */
  readonly runs: number;
  /** a line for the operator */
  readonly told: (line: string) => void;
}

/** The servers of one model, and which of them gets a run. */
export class Upstreams {
  readonly all: readonly Upstream[];
  private readonly options: UpstreamsOptions;
  private readonly aborts = new Map<Upstream, { open: number; names: string[] }>();

  constructor(all: readonly Upstream[], options: UpstreamsOptions) {
    assert(all.length > 0, "a gateway has a server");
    this.all = all;
    this.options = options;
  }

  /** No run begins there for a while, unless all others rest too. @param why for the operator */
  rest(server: Upstream, why: string): void {
    const nowMs = this.options.clock.nowMs();
    if (server.restsUntilMs <= nowMs)
      this.options.told(`no run begins there for ${REST_MS / 1000} s: ${why}`);
    server.restsUntilMs = nowMs + REST_MS;
  }

  /** Another server than this one can have a run now. */
  hasAnother(than: Upstream | null): boolean {
    return this.open().some((one) => one !== than && this.isRested(one));
  }

  /**
   * A request is of no use any more. Hanging up has ended it, unless a proxy is in between: names past the bound are
   * dropped.
   * @param name the engine's own
   */
  abort(server: Upstream, name: string): void {
    if (server.facts.dialect.abortPath === null) return;
    const aborts = this.aborts.get(server) ?? { open: 0, names: [] };
    this.aborts.set(server, aborts);
    if (aborts.names.length < ABORTS.names) aborts.names.push(name);
    this.sendAborts(server, server.facts.dialect.abortPath, aborts);
  }

  /** @param after a server that has just lost this run; null: none has */
  choose(tokens: Int32Array, principal: string, after: Upstream | null): Upstream {
    const [only] = this.all;
    if (this.all.length === 1) return only!;
    const open = this.open();
    const rested = open.filter((one) => this.isRested(one));
    const others = rested.filter((one) => one !== after);
    const candidates = [others, rested, open, this.all].find(({ length }) => length > 0)!;
    const blocks = blocksOf(tokens, principal, this.options.key);
    const index = chooseServer(candidates.map(({ runs, sent }) => ({ runs, known: sent.known(blocks) })));
    const chosen = candidates[index]!;
    chosen.sent.add(blocks);
    return chosen;
  }

  /** Servers below their bound. */
  private open(): Upstream[] {
    return this.all.filter(({ runs }) => runs < this.options.runs);
  }

  private isRested({ restsUntilMs }: Upstream): boolean {
    return restsUntilMs <= this.options.clock.nowMs();
  }

  private sendAborts(server: Upstream, path: string, aborts: { open: number; names: string[] }): void {
    if (aborts.open >= ABORTS.requests || aborts.names.length === 0) return;
    const request_ids = aborts.names.splice(0);
    aborts.open++;
    const over = () => {
      aborts.open--;
      this.sendAborts(server, path, aborts);
    };
    server.http.ask(path, { request_ids }).then(over, over);
  }
}
