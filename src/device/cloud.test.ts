import { describe, expect, it } from "vitest";
import { createCloud, DeviceCloud } from "./cloud.ts";
import { CloudSecrets } from "./cloud-secrets.ts";

describe("createCloud refuses, and says what to do", () => {
  it.each([
    ["no model", {}, /give a model, a GGUF file or hf:/],
    ["a port that there is not", { port: 70_000 }, /port is from 0 to 65535, not 70000/],
    ["no listen address", { host: "" }, /host is an address/],
    ["no session", { sessions: 0 }, /sessions is from 1 to 100000, not 0/],
    ["too many KV slots", { kvSlots: 65 }, /kvSlots is from 1 to 64, not 65/],
    ["small keys without flash attention", { kvType: "q8_0", flashAttn: "off" }, /needs flash attention/],
    ["half a thread", { threads: 0.5 }, /threads is from 1 to 512, not 0.5/],
    ["no quantum", { quantumTokens: 0 }, /quantumTokens is from 1 to 65536, not 0/],
    ["a context of one token", { contextTokens: 1 }, /contextTokens is from 16 to 1048576, not 1/],
    ["a wait that is no number", { idleAfterMs: Number.NaN }, /idleAfterMs is 0 or more, not NaN/],
    ["a GPU that there is not", { gpu: "fast" }, /gpu is auto or off, not fast/],
    ["an engine that there is not", { engine: "vlm" }, /unknown engine "vlm"; there are llama, vllm/],
    ["a file that is not there", { port: 0 }, /no-such\.gguf/],
  ])("%s", async (what, options, message) => {
    const model = what === "no model" ? {} : { model: "no-such.gguf" };
    await expect(createCloud({ ...model, ...options } as never)).rejects.toThrow(message);
  });
});

describe("a cloud of this device", () => {
  it("closes the server and then its target, once, also where the server fails to", async () => {
    for (const failure of [null, new Error("the port is stuck")]) {
      const closed: string[] = [];
      const closing = (name: string) => ({ close: () => void closed.push(name) });
      const server = {
        async close() {
          closed.push("server");
          if (failure) throw failure;
        },
      };
      const cloud = new DeviceCloud(
        server as never,
        closing("target") as never,
        new CloudSecrets(null, null),
      );
      const outcomes = await Promise.allSettled([cloud.close(), cloud.close(), cloud[Symbol.asyncDispose]()]);
      expect(outcomes.map(({ status }) => status)).toEqual(Array(3).fill(failure ? "rejected" : "fulfilled"));
      expect(closed).toEqual(["server", "target"]);
    }
  });
});
