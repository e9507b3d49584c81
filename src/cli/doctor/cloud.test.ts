import { describe, expect, it } from "vitest";
import type { Outcome } from "../../device/isolation/outcome.ts";
import type { ModelFile } from "../../engine/llama/gguf.ts";
import { PROTOCOL_VERSION, type TargetInfo } from "../../protocol/frame.ts";
import {
  addressCheck,
  bandwidthCheck,
  protocolCheck,
  reachCheck,
  roundTripCheck,
  targetCheck,
  tokenizerCheck,
} from "./cloud.ts";

const TARGET: TargetInfo = {
  ...{ name: "large.gguf", fingerprint: "gpt2-9-aa", vocabularySize: 9, contextTokens: 4096 },
  ...{ endTokens: [1], chatTemplate: "{{ x }}" },
};
const failure = (code: string, message = "it does not"): Outcome<never> => ({
  ok: false,
  failure: { code, message },
});

describe("an address", () => {
  it.each([
    "ws://127.0.0.1:4747",
    "ws://localhost:80/x",
    "ws://[::1]:4747",
    "wss://gpu.example.org",
  ])("%s is one", (url) => {
    // The port 80 is what ws:// means without one, and URL leaves it out.
    expect(addressCheck(url).status).toBe(url.includes(":80/") ? "warning" : "ok");
  });

  it.each(["localhost:4747", "http://x:1", "", "ws:", "127.0.0.1:4747"])('"%s" is none', (url) => {
    expect(addressCheck(url)).toMatchObject({
      status: "problem",
      advice: expect.stringContaining("ws://HOST:PORT"),
    });
  });

  it("has a warning where others can read along, and without a port", () => {
    expect(addressCheck("ws://gpu.example.org:4747")).toMatchObject({
      status: "warning",
      advice: expect.stringContaining("wss://"),
    });
    expect(addressCheck("ws://localhost")).toMatchObject({
      status: "warning",
      detail: expect.stringContaining("80"),
    });
  });
});

describe("the way to a cloud", () => {
  it.each([
    ["ECONNREFUSED", /start picospec cloud/],
    ["ENOTFOUND", /spelling/],
    ["ETIMEDOUT", /firewalls/],
    ["ESOMETHING", /check the address/],
  ])("is a problem where there is no connection: %s", (code, advice) => {
    expect(reachCheck({ stage: "tcp", code, message: "no" })).toMatchObject({
      status: "problem",
      advice: expect.stringMatching(advice),
    });
  });

  it("is a problem where something else answers", () => {
    expect(
      reachCheck({ stage: "refused", message: "this cloud wants a key: give it with --cloud-key" }),
    ).toMatchObject({
      status: "problem",
      detail: "this cloud wants a key",
      advice: "give it with --cloud-key",
    });
    expect(reachCheck({ stage: "websocket", message: "Unexpected server response: 200" })).toMatchObject({
      status: "problem",
      detail: expect.stringContaining("200"),
    });
  });

  it("is open", () => {
    expect(reachCheck({ stage: "open", tcpMs: 1.26 })).toMatchObject({
      status: "ok",
      detail: expect.stringContaining("1.3 ms"),
    });
  });
});

describe("what a cloud says", () => {
  it.each([
    ["protocol_version", /update the older side/],
    ["server_full", /--sessions/],
    ["unreachable", /some other server/],
  ])("is a problem where it refuses: %s", (code, advice) => {
    expect(protocolCheck(failure(code))).toMatchObject({
      status: "problem",
      detail: "it does not",
      advice: expect.stringMatching(advice),
    });
  });

  it("names its protocol and its target", () => {
    expect(protocolCheck({ ok: true, value: TARGET })).toMatchObject({
      status: "ok",
      detail: `version ${PROTOCOL_VERSION}`,
    });
    expect(targetCheck(TARGET)).toMatchObject({
      status: "ok",
      detail: "large.gguf, 9 tokens (gpt2-9-aa), context 4096",
    });
  });

  it("has a warning without a chat template, and with a short context", () => {
    expect(targetCheck({ ...TARGET, chatTemplate: null }).status).toBe("warning");
    expect(targetCheck({ ...TARGET, contextTokens: 512 }).status).toBe("warning");
  });

  it("is a problem where the model cannot draft for it", () => {
    const model = { name: "small.gguf", fingerprint: "gpt2-9-aa" } as ModelFile;
    expect(tokenizerCheck(TARGET, model, { problem: null, barred: new Int32Array(0) }).status).toBe("ok");
    expect(tokenizerCheck(TARGET, model, { problem: "token 7 differs" })).toMatchObject({
      status: "problem",
      detail: "small.gguf cannot draft for large.gguf: token 7 differs",
    });
    expect(tokenizerCheck(TARGET, { ...model, fingerprint: "x" }, null)).toMatchObject({
      status: "problem",
      detail: "small.gguf has x, and large.gguf gpt2-9-aa",
    });
  });
});

describe("the link", () => {
  it("has a median round trip, which is a warning where it is long and a problem where there is none", () => {
    expect(roundTripCheck({ ok: true, value: [30, 10, 11, 12, 10] })).toMatchObject({
      status: "ok",
      detail: "median 11.0 ms of 5 pings, 10.0 to 30.0 ms",
    });
    expect(roundTripCheck({ ok: true, value: [700, 800, 900] }).status).toBe("warning");
    expect(roundTripCheck(failure("no_answer")).status).toBe("problem");
  });

  /** Transfers of two sizes over a link of a rate, with a little noise. */
  const transfers = (mbps: number) =>
    [1024, 49_152, 1024, 49_152, 1024, 49_152].map((bytes, i) => ({
      bytes,
      ms: 10 + bytes / (125 * mbps) + 0.01 * (i % 3),
    }));

  it("has a bandwidth, or none that can be seen", () => {
    const both = { up: transfers(10), down: transfers(100) };
    expect(bandwidthCheck({ ok: true, value: both })).toMatchObject({
      status: "ok",
      detail: "up 10.0 Mbit/s, down 100 Mbit/s",
    });
    const free = { up: transfers(Number.POSITIVE_INFINITY), down: transfers(Number.POSITIVE_INFINITY) };
    expect(bandwidthCheck({ ok: true, value: free }).detail).toBe("up no limit seen, down no limit seen");
  });

  it("has a warning where it is narrow or too slow to measure, and is a problem where it breaks", () => {
    expect(bandwidthCheck({ ok: true, value: { up: transfers(0.01), down: transfers(1) } }).status).toBe(
      "warning",
    );
    expect(bandwidthCheck({ ok: true, value: { up: [], down: [] } }).status).toBe("warning");
    expect(bandwidthCheck(failure("connection_lost")).status).toBe("problem");
  });
});
