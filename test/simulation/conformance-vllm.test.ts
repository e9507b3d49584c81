import { afterEach, describe, it } from "vitest";
import type { Adapter } from "../../lab/conformance/adapter.ts";
import { CONFORMANCE } from "../../lab/conformance/checks.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import type { FakeVllmOptions } from "../support/fake-vllm.ts";
import { TOY_LANGUAGE, toyAdapter } from "../support/toy-adapter.ts";
import { fakePair, vllmEngine } from "../support/vllm.ts";
import { draws } from "../support/world.ts";

/** The adapter for vLLM keeps to what every engine keeps to: over a fake server, on real sockets. */

const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

function adapterOf(name: string, given: Partial<FakeVllmOptions>, withMailbox: boolean): Adapter {
  const random = draws(11);
  return {
    name,
    ...toyAdapter(systemClock),
    async target() {
      const pair = await fakePair(TOY_LANGUAGE, { random, ...given }, { loses: () => random() < 0.2 });
      opened.push(pair);
      const mailboxes = withMailbox ? [pair.mailbox.address] : [];
      return vllmEngine(TOY_LANGUAGE, { urls: [pair.server.url], mailboxes, runs: 8 });
    },
    async until(done) {
      while (!done()) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe.each([
  ["vllm, scale-out", {}, true],
  ["vllm, completions", { scaleOut: "off" }, true],
  ["vllm, completions, without the plugin", { scaleOut: "missing", mailbox: null }, false],
] as const)("%s", (name, given, withMailbox) => {
  it.each(CONFORMANCE.map((check) => [check.name, check] as const))("%s", async (_, check) => {
    await check.run(adapterOf(name, given, withMailbox));
  });
});
