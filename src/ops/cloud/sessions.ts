import type { SessionView } from "../../cloud/core/machine.ts";
import type { SessionEnded, SessionOpened } from "../../cloud/core/session.ts";
import { policyLabel } from "../../decoding/policy.ts";
import { LabelValues, Tally } from "../labels.ts";

/** What principals are counted by at most; the others are one, "other". */
const MOST_PRINCIPALS = 100;
/** Presets and stop reasons are few; a bound all the same. */
const MOST_KINDS = 200;
const MOST_CODES = 64;

/** What sessions have taken, whether they are over or not. */
interface Totals {
  promptTokens: number;
  committedTokens: number;
  evictions: number;
  reusedTokens: number;
}

interface Open {
  readonly principal: string;
  readonly policy: string;
  /** what a resumed session had committed elsewhere, and what its prompt is counted as */
  readonly broughtTokens: number;
  readonly promptTokens: number;
}

/** Sessions of a cloud as counts: those that are over are added up, and those that go on are read at a scrape. */
export class SessionCounts {
  readonly ended = new Tally(MOST_KINDS);
  readonly failed = new Tally(MOST_CODES);
  readonly begun = new Tally(MOST_PRINCIPALS);
  private readonly open = new Map<number, Open>();
  private readonly over = new Map<string, Totals>();
  private readonly principals = new LabelValues(MOST_PRINCIPALS);

  opened({ identity, policy, promptTokens, tokens }: SessionOpened): void {
    const principal = this.principals.of(principalLabel(identity.principal));
    this.begun.add(principal);
    this.open.set(identity.key, {
      principal,
      policy: policyLabel(policy),
      broughtTokens: tokens - promptTokens,
      // A resumed session's prompt has been counted.
      promptTokens: identity.epoch > 0 ? 0 : promptTokens,
    });
  }

  closed({ identity, reason, code, usage }: SessionEnded): void {
    const open = this.open.get(identity.key);
    if (!open) return;
    this.open.delete(identity.key);
    this.ended.add(`${open.policy} ${reason ?? "failed"}`);
    if (code !== null) this.failed.add(code);
    addTo(this.over, open, usage);
  }

  /** By principal. @param views of the sessions that go on */
  totals(views: readonly SessionView[]): ReadonlyMap<string, Readonly<Totals>> {
    const totals = new Map([...this.over].map(([principal, total]) => [principal, { ...total }]));
    for (const { identity, ended, usage } of views) {
      const open = this.open.get(identity.key);
      if (open && !ended) addTo(totals, open, usage);
    }
    return totals;
  }
}

function addTo(totals: Map<string, Totals>, open: Open, usage: SessionEnded["usage"]): void {
  const total = totals.get(open.principal) ?? {
    promptTokens: 0,
    committedTokens: 0,
    evictions: 0,
    reusedTokens: 0,
  };
  totals.set(open.principal, total);
  total.promptTokens += open.promptTokens;
  total.committedTokens += usage.committedTokens - open.broughtTokens;
  total.evictions += usage.evictions;
  total.reusedTokens += usage.reusedTokens;
}

/** A key's name; without keys every connection is its own principal, and all of them are one label. */
function principalLabel(principal: string): string {
  return /^connection \d+$/.test(principal) ? "anonymous" : principal.replace(/^key /, "");
}
