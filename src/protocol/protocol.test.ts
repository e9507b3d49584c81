import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GOLDEN } from "../../test/support/golden-frames.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { ProtocolError } from "./errors.ts";

const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytesOf = (text: string) => {
  const digits = text.replaceAll(" ", "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
};

describe.each(GOLDEN)("$name", ({ frame, hex: golden }) => {
  it("encodes to the documented bytes", () => {
    expect(hex(encode(frame))).toBe(golden.replaceAll(" ", ""));
  });

  it("decodes to itself, at any alignment", () => {
    for (let offset = 0; offset < 8; offset++) {
      const bytes = bytesOf(golden);
      const shifted = new Uint8Array(new ArrayBuffer(bytes.length + offset), offset);
      shifted.set(bytes);
      expect(decode(shifted)).toEqual(frame);
    }
  });

  it("is refused when it ends early or late, at every byte", () => {
    const bytes = bytesOf(golden);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decode(bytes.slice(0, length)), `cut to ${length}`).toThrow(ProtocolError);
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(() => decode(longer)).toThrow(ProtocolError);
  });

  it("ends in a frame or a ProtocolError whatever byte is changed", () => {
    const bytes = bytesOf(golden);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
        const changed = bytes.slice();
        changed[index] = changed[index]! ^ flip;
        try {
          decode(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("decode", () => {
  it("survives garbage", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(13), (bytes, type) => {
        if (bytes.length > 0) bytes[0] = type;
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("reads arrays in place when the buffer is aligned", () => {
    const bytes = encode(GOLDEN[0]!.frame);
    const frame = decode(bytes);
    expect(frame.type === "draft" && frame.tokens.buffer === bytes.buffer).toBe(true);
  });

  it.each([
    [
      "a probability above 1",
      "04 01 0100 07000000 02000000 14000000 12000000 00000000 0b000000 00000040",
      "no probability",
    ],
    [
      "a probability that is no number",
      "04 01 0100 07000000 02000000 14000000 12000000 00000000 0b000000 0000c07f",
      "no probability",
    ],
    [
      "a negative token",
      "04 00 0100 07000000 02000000 14000000 12000000 00000000 ffffffff",
      "-1 is no token id",
    ],
    ["a huge lineage", "04 00 0000 07000000 ffffffff 14000000 12000000 00000000", "lineage is 4294967295"],
    ["an unknown type", "63 00 0000 00000000", "no frame type 99"],
  ])("refuses %s", (_, text, message) => {
    expect(() => decode(bytesOf(text))).toThrow(message);
  });

  it("keeps the published sizes: 24 bytes a draft frame and 8 a draft, 20 bytes a verdict of one token", () => {
    const size = (name: string) => encode(GOLDEN.find((golden) => golden.name === name)!.frame).length;
    expect(size("draft, rejection coupling")).toBe(24 + 2 * 8);
    expect(size("verdict, one token")).toBe(20);
  });
});
