import { describe, expect, it } from "vitest";
import { authFrame, beginFrame, endFrame, MailboxReader, offerFrame } from "./mailbox-frames.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** As the plugin sends them: written out by hand from the protocol. */
const nonce = "000102030405060708090a0b0c0d0e0f";
const CHALLENGE = `17000000 81 50534d42 0200 ${nonce}`;
const TOLD = "00c00000 0800 0100 0200 1122334455667708 4000 e8030000 01";
const READY = `3a000000 82 ${"09".repeat(32)} ${TOLD}`;
const UNBOUND = "01000000 85";
const REFUSED = "04000000 84 6e6f21";
const bytesOf = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("frames of a mailbox", () => {
  it("of the gateway are the protocol's, byte by byte", () => {
    const auth = authFrame(new Uint8Array(16).fill(6), new Uint8Array(32).fill(7));
    expect(hex(auth)).toBe(`3100000001${"06".repeat(16)}${"07".repeat(32)}`);
    expect(hex(beginFrame(258, "aé"))).toBe("0a00000002020100000300" + "61c3a9");
    expect(hex(endFrame(3))).toBe("050000000403000000");
    const offer = offerFrame(1, 70_000, 0x0102_0304_0506_0708n, Int32Array.of(5, 49_151));
    expect(hex(offer)).toBe("1b0000000301000000701101000807060504030201020005000000ffbf0000");
  });

  it("of the plugin are read, whole and a byte at a time", () => {
    const all = bytesOf(CHALLENGE + READY + UNBOUND + REFUSED);
    const whole = new MailboxReader().push(all);
    const reader = new MailboxReader();
    const single = [...all].flatMap((byte) => reader.push(Uint8Array.of(byte)));
    expect(single).toEqual(whole);
    expect(whole).toEqual([
      { type: "challenge", nonce: Uint8Array.from({ length: 16 }, (_, i) => i) },
      {
        type: "ready",
        ready: {
          ...{ vocabularySize: 49_152, stepDrafts: 8, rank: 1, ranks: 2 },
          ...{ key: 0x0877_6655_4433_2211n, offerTokens: 64, sessions: 1000, binds: true },
        },
        proof: new Uint8Array(32).fill(9),
        told: new Uint8Array(bytesOf(TOLD)),
      },
      { type: "unbound" },
      { type: "refused", reason: "no!" },
    ]);
  });

  it.each([
    ["of HTTP", Buffer.from("HTTP/1.1 400 Bad Request\r\n").toString("hex"), /no mailbox/],
    ["of no length", "00000000 81", /a frame of 0 bytes/],
    ["of an unknown type", "01000000 99", /type 153/],
    ["without the magic", `17000000 81 50534d43 0200 ${nonce}`, /no mailbox's greeting/],
    [
      "of another version",
      `17000000 81 50534d42 0100 ${nonce}`,
      /version 1 of its protocol, and this gateway 2/,
    ],
    ["cut short", "03000000 82 0000", /a short frame/],
  ])("%s are refused, and say what is wrong", (_, bytes, message) => {
    expect(() => new MailboxReader().push(bytesOf(bytes))).toThrow(message);
  });
});
