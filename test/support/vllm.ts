import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { type ConnectServersOptions, connectServers } from "../../src/engine/vllm/connect.ts";
import { VllmEngine } from "../../src/engine/vllm/engine.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { FakeMailbox, type FakeMailboxOptions } from "./fake-mailbox.ts";
import { FakeVllm, type FakeVllmOptions } from "./fake-vllm.ts";
import { draws } from "./world.ts";

/** The adapter over fakes, in one process, on real sockets. */

export const SECRET = "a secret of the mailbox";

let freshIds = 0;

/** The adapter as `picospec cloud --engine vllm` makes it, without a tokenizer. */
export async function vllmEngine(
  language: ToyLanguage,
  given: Partial<ConnectServersOptions> & { readonly runs?: number },
): Promise<VllmEngine> {
  const upstreams = await connectServers({
    ...{ urls: [], mailboxes: [], mailboxSecret: SECRET, apiKey: null, model: null },
    ...{ clock: systemClock, random: Math.random, told: () => {} },
    ...given,
  });
  return new VllmEngine({
    info: { name: "toy", vocabularySize: language.vocabularySize, contextTokens: language.contextTokens },
    upstreams,
    runs: given.runs ?? 4,
    clock: given.clock ?? systemClock,
    secret: SECRET,
    freshId: () => `test-${++freshIds}`,
    ...(given.told ? { told: given.told } : {}),
  });
}

/** A fake server with its mailbox. */
export async function fakePair(
  language: ToyLanguage,
  given: Partial<FakeVllmOptions> = {},
  mail: Partial<FakeMailboxOptions> = {},
): Promise<{ readonly server: FakeVllm; readonly mailbox: FakeMailbox; close(): Promise<void> }> {
  const options = { secret: SECRET, vocabularySize: language.vocabularySize, ...mail };
  const mailbox = await FakeMailbox.start(options);
  const server = await FakeVllm.start({ language, mailbox, random: draws(7), ...given });
  return {
    server,
    mailbox,
    async close() {
      await server.close();
      await mailbox.close();
    },
  };
}
