import { ProtocolError } from "../../protocol/errors.ts";
import { assert } from "../../util/assert.ts";
import { Allowance } from "./allowance.ts";
import type { Tenant } from "./tenant.ts";

/** Who each connection speaks for, and what that one has used. */
interface Party {
  /** whose text is shared with it, and with whom it shares the target's time */
  principal: string;
  /** null: this cloud takes everybody, and the connection is its own principal */
  tenant: Tenant | null;
  /** most tokens of a session, as the welcome said; Infinity: the target's own bound */
  readonly contextTokens: number;
}

/** What an edge asks for. */
export interface TenantRequest {
  readonly promptTokens: number;
  /** open sessions of the same principal */
  readonly open: number;
  /** it goes on with a session that this cloud knows: that one was charged already */
  readonly resumes: boolean;
}

interface Charged {
  readonly principal: string;
  tokens: number;
}

export class Tenants {
  private readonly parties = new Map<number, Party>();
  /** by principal: kept as long as its key is there */
  private allowances = new Map<string, Allowance>();
  /** by session: what of its tokens is paid for; only sessions of a tenant with an allowance */
  private readonly charged = new Map<number, Charged>();

  connected(connection: number, tenant: Tenant | null, nowMs: number): void {
    const principal = tenant ? keyPrincipal(tenant.name) : `connection ${connection}`;
    const contextTokens = tenant?.limits.contextTokens ?? Number.POSITIVE_INFINITY;
    this.parties.set(connection, { principal, tenant, contextTokens });
    const perMinute = tenant?.limits.tokensPerMinute ?? Number.POSITIVE_INFINITY;
    if (Number.isFinite(perMinute) && !this.allowances.has(principal)) {
      this.allowances.set(principal, new Allowance(perMinute, nowMs));
    }
  }

  disconnected(connection: number): void {
    this.parties.delete(connection);
  }

  principalOf(connection: number): string {
    return this.party(connection).principal;
  }

  /** Whose its sessions are. */
  ownerOf(connection: number) {
    const { principal, tenant } = this.party(connection);
    return { principal, isKeyed: tenant !== null, weight: tenant?.weight ?? 1 };
  }

  /** Infinity: no bound but the target's */
  contextTokensOf(connection: number): number {
    return this.party(connection).contextTokens;
  }

  /** What a session's secret finds: it proves nothing to another tenant. */
  resumeKeyOf(connection: number, secret: string): string {
    return `${this.party(connection).tenant?.name ?? ""} ${secret}`;
  }

  /** The connection has proved to be the one that a session belongs to. */
  adopt(connection: number, principal: string): void {
    const party = this.party(connection);
    if (!party.tenant) party.principal = principal;
  }

  /** Why the tenant may not have this session; null: it may. */
  refusal(connection: number, asked: TenantRequest, nowMs: number): ProtocolError | null {
    const { principal, tenant } = this.party(connection);
    if (!tenant) return null;
    const { sessions, promptTokens } = tenant.limits;
    if (asked.open >= sessions) {
      const message = `this key has at most ${sessions} sessions at a time; wait for one to end`;
      return new ProtocolError("too_many_sessions", message);
    }
    if (asked.promptTokens > promptTokens) {
      const message = `the prompt has ${asked.promptTokens} tokens, and this key may send ${promptTokens}; shorten it`;
      return new ProtocolError("prompt_too_long", message);
    }
    const waitMs = asked.resumes ? 0 : (this.allowances.get(principal)?.waitMs(nowMs) ?? 0);
    if (waitMs === 0) return null;
    const { tokensPerMinute } = tenant.limits;
    const message = `this key has used up its ${tokensPerMinute} tokens a minute; try again in ${Math.ceil(waitMs / 1000)} s`;
    return new ProtocolError("quota_exceeded", message, 0, waitMs);
  }

  /** What its sessions use is counted. */
  isMetered(connection: number): boolean {
    return this.allowances.has(this.principalOf(connection));
  }

  /** A session begins. @param tokens what it begins with @param paid they were charged before */
  opened(session: number, connection: number, tokens: number, paid: boolean, nowMs: number): void {
    const { principal } = this.party(connection);
    const allowance = this.allowances.get(principal);
    if (!allowance) return;
    this.charged.set(session, { principal, tokens });
    if (!paid) allowance.use(tokens, nowMs);
  }

  /** @param tokens that the session has committed by now, prompt included */
  settle(session: number, tokens: number, nowMs: number): void {
    const charged = this.charged.get(session);
    if (!charged || tokens <= charged.tokens) return;
    this.allowances.get(charged.principal)?.use(tokens - charged.tokens, nowMs);
    charged.tokens = tokens;
  }

  ended(session: number, tokens: number, nowMs: number): void {
    this.settle(session, tokens, nowMs);
    this.charged.delete(session);
  }

  /**
   * The keys have changed.
   * @returns connections whose key is not among them any more
   */
  replace(tenants: ReadonlyMap<string, Tenant>, nowMs: number): number[] {
    const revoked: number[] = [];
    for (const [connection, party] of this.parties) {
      if (!party.tenant) continue;
      const now = tenants.get(party.tenant.name);
      if (now && now.keyId === party.tenant.keyId) party.tenant = now;
      else revoked.push(connection);
    }
    const kept = new Map<string, Allowance>();
    for (const { name, limits } of tenants.values()) {
      const principal = keyPrincipal(name);
      const before = this.allowances.get(principal);
      if (!before && !this.isPresent(principal)) continue;
      if (Number.isFinite(limits.tokensPerMinute)) {
        kept.set(principal, new Allowance(limits.tokensPerMinute, nowMs, before));
      }
    }
    this.allowances = kept;
    return revoked;
  }

  /** @param sessions that are open @throws AssertionError */
  checkIntegrity(connections: number, isOpen: (session: number) => boolean): void {
    assert(this.parties.size === connections, `${this.parties.size} of ${connections} connections are known`);
    for (const session of this.charged.keys()) assert(isOpen(session), `session ${session} has ended unpaid`);
  }

  private isPresent(principal: string): boolean {
    for (const party of this.parties.values()) if (party.principal === principal) return true;
    return false;
  }

  private party(connection: number): Party {
    const party = this.parties.get(connection);
    assert(party, `connection ${connection} is not known`);
    return party;
  }
}

/** No connection has such a name, and no key that of a connection. */
function keyPrincipal(name: string): string {
  return `key ${name}`;
}
