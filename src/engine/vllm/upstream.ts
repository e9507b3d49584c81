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
  /** until when no run begins there, since the last one was lost */
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

/** How long a server rests after it lost a run, ms. */
const REST_MS = 2000;

/** The servers of one model, and which of them gets a run. */
export class Upstreams {
  readonly all: readonly Upstream[];
  private readonly clock: Clock;
  private readonly key: bigint;

  /** @param key of the hash that prompts are compared by: 1 < key < 2^61 - 1 */
  constructor(all: readonly Upstream[], clock: Clock, key: bigint) {
    assert(all.length > 0, "a gateway has a server");
    this.all = all;
    this.clock = clock;
    this.key = key;
  }

  /** @param after a server that has just lost this run; null: none has */
  choose(tokens: Int32Array, principal: string, after: Upstream | null): Upstream {
    const nowMs = this.clock.nowMs();
    if (after) after.restsUntilMs = nowMs + REST_MS;
    const [only] = this.all;
    if (this.all.length === 1) return only!;
    const rested = this.all.filter(({ restsUntilMs }) => restsUntilMs <= nowMs);
    const candidates = rested.length > 0 ? rested : this.all;
    const blocks = blocksOf(tokens, principal, this.key);
    const index = chooseServer(candidates.map(({ runs, sent }) => ({ runs, known: sent.known(blocks) })));
    const chosen = candidates[index]!;
    chosen.sent.add(blocks);
    return chosen;
  }
}
