import { createHmac } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { FakeMailbox, type FakeMailboxOptions } from "../../../test/support/fake-mailbox.ts";
import { systemClock } from "../../transport/node/clock.ts";
import { Mailbox, type MailboxOptions, mailboxAddress } from "./mailbox.ts";
import { proofOf } from "./mailbox-proof.ts";
import { PrefixHash } from "./prefix-hash.ts";

const SECRET = "a secret of the mailbox";
const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function pair(given: Partial<FakeMailboxOptions> = {}, options: Partial<MailboxOptions> = {}) {
  const fake = await FakeMailbox.start({ secret: SECRET, vocabularySize: 24, ...given });
  const lines: string[] = [];
  const mailbox = new Mailbox({
    ...{ address: mailboxAddress(fake.address), secret: SECRET, clock: systemClock, random: () => 0 },
    told: (line) => lines.push(line),
    ...options,
  });
  opened.push(fake, mailbox);
  await mailbox.tried();
  return { fake, mailbox, lines };
}

/** What follows 1, 2. */
function offerTo(mailbox: Mailbox, requestId: string) {
  const session = mailbox.begin(requestId);
  const hash = new PrefixHash(mailbox.ready?.key ?? 5n);
  hash.pushAll([1, 2]);
  session.offer(2, hash.value, Int32Array.of(3, 4));
  return session;
}

describe("a proof", () => {
  const nonces = Uint8Array.from({ length: 32 }, (_, i) => i);

  it("is the protocol's, and neither that of the other side nor a salt", () => {
    for (const side of ["gateway", "plugin"] as const) {
      const label = Buffer.from(`picospec mailbox 2 ${side}\0`);
      const signed = Buffer.concat([label, nonces, Buffer.from("told")]);
      const expected = createHmac("sha256", SECRET).update(signed).digest("hex");
      expect(Buffer.from(proofOf(SECRET, side, nonces, Buffer.from("told"))).toString("hex")).toBe(expected);
    }
    const salt = (principal: Uint8Array) => createHmac("sha256", SECRET).update(principal).digest("hex");
    const shown = Buffer.from(proofOf(SECRET, "gateway", nonces)).toString("hex");
    expect([salt(nonces), salt(nonces.subarray(0, 16)), salt(nonces.subarray(16))]).not.toContain(shown);
  });

  it.each([
    ["random bytes", () => new Uint8Array(32).fill(7)],
    ["the gateway's own, sent back", (proof: Uint8Array) => Uint8Array.from(proof)],
  ])("that is %s gets no draft and no session", async (_, forgery) => {
    const { fake, mailbox, lines } = await pair({ forgery });
    expect(mailbox.ready).toBeNull();
    offerTo(mailbox, "a").end();
    // A second try has come: nothing was sent behind the first greeting.
    await expect.poll(() => fake.connections).toBeGreaterThan(1);
    expect([fake.heard, fake.begun, fake.offers]).toEqual([0, [], 0]);
    expect(lines).toEqual([
      expect.stringMatching(/^drafts are not used: .*does not prove that it knows the secret/),
    ]);
  });
});

describe("a mailbox", () => {
  it("whose plugin cannot bind rows is told to the operator, and gets no draft from then on", async () => {
    const { fake, mailbox, lines } = await pair();
    offerTo(mailbox, "a");
    await expect.poll(() => fake.offers).toBe(1);
    fake.unbind();
    await expect.poll(() => mailbox.ready?.binds).toBe(false);
    offerTo(mailbox, "b");
    await expect.poll(() => fake.begun).toEqual(["a", "b"]);
    expect(fake.offers).toBe(1);
    const refusal = /^drafts are not used: .* cannot tell which row of vLLM is which request/;
    expect(lines).toEqual([expect.stringMatching(/takes drafts, 8 a step/), expect.stringMatching(refusal)]);
    const other = await pair({ binds: false });
    expect(other.lines).toEqual([expect.stringMatching(refusal)]);
  });

  it("gets no more sessions than it has", async () => {
    const { fake, mailbox } = await pair({ sessions: 2 });
    const sessions = ["a", "b", "c"].map((id) => offerTo(mailbox, id));
    sessions[0]!.end();
    offerTo(mailbox, "d");
    await expect.poll(() => fake.begun).toEqual(["a", "b", "d"]);
    expect([fake.open, mailbox.open, fake.offers]).toEqual([2, 2, 3]);
  });

  it("that greets and hangs up is tried with growing waits, in a bounded number of lines; one that lasted is not", async () => {
    const waitsMs: number[] = [];
    const time = { nowMs: 0 };
    // It stands still, so that waits are exact; short ones pass.
    const clock = {
      nowMs: () => time.nowMs,
      schedule(atMs: number, callback: () => void) {
        const waitMs = atMs - time.nowMs;
        if (waitMs > 1000) return () => {};
        waitsMs.push(waitMs);
        const timer = setTimeout(callback, waitMs);
        return () => clearTimeout(timer);
      },
    };
    const hangsUp = { now: true };
    const limits = { firstRetryMs: 1, longestRetryMs: 40 };
    const { fake, mailbox, lines } = await pair({ hangsUp }, { clock, limits });
    await expect.poll(() => waitsMs.length).toBeGreaterThanOrEqual(8);
    expect(waitsMs.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 32, 40, 40]);
    expect(lines).toHaveLength(4);
    hangsUp.now = false;
    const { connections } = fake;
    await expect.poll(() => fake.connections > connections && mailbox.ready !== null).toBe(true);
    time.nowMs += 10_000;
    waitsMs.length = 0;
    fake.hangUp();
    await expect.poll(() => waitsMs.length).toBeGreaterThan(0);
    expect(waitsMs[0]).toBe(1);
  });
});
