import { describe, expect, it } from "vitest";
import { EventReader } from "./sse.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

describe("events of a stream", () => {
  it("are read whole and a byte at a time, whatever their line ends", () => {
    const text = ': hello\r\nevent: x\ndata: {"a":"é"}\r\n\r\ndata:{"b":1}\n\ndata: [DONE]\n\n';
    const expected = ['{"a":"é"}', '{"b":1}', "[DONE]"];
    expect(new EventReader().push(bytes(text))).toEqual(expected);
    const reader = new EventReader();
    expect([...bytes(text)].flatMap((byte) => reader.push(Uint8Array.of(byte)))).toEqual(expected);
  });

  it("have a bound", () => {
    const reader = new EventReader();
    const part = bytes("x".repeat(2 ** 20));
    expect(() => {
      for (let i = 0; i < 5; i++) reader.push(part);
    }).toThrow(/a line of more than/);
  });
});
