import { expect, it } from "vitest";
import { TARGET } from "../../test/support/target.ts";
import { CloudError } from "../edge/connection.ts";
import type { RemoteOpener } from "../edge/opener.ts";
import type { BytesDone } from "../edge/vocabulary-requests.ts";
import type { LoadedDrafter } from "./drafter.ts";
import { Pairings } from "./pairing.ts";

/** To a cloud that is there, and does not send its vocabulary. */
class StuckOpener {
  readonly target = {
    ...TARGET,
    vocabulary: {
      ...{ type: "BPE", ids: 9, tokens: 9, identity: "of the target" },
      ...{ fileBytes: 8, fileHash: "0".repeat(64) },
    },
  };
  closed = false;
  private asked: BytesDone | null = null;
  private readonly told: () => void;

  constructor(told: () => void) {
    this.told = told;
  }

  requestVocabulary(_: unknown, __: unknown, done: BytesDone): void {
    this.asked = done;
    this.told();
  }

  close(): void {
    this.closed = true;
    this.asked?.(new CloudError("closed", "this connection was closed"), new Uint8Array(0));
    this.asked = null;
  }
}

it("an edge that is closed does not wait for the vocabulary of a target that it is being paired with", async () => {
  const loaded = {
    tokenizer: { identity: "own" },
    drafter: {},
    vocabulary: null,
  } as unknown as LoadedDrafter;
  const pairings = new Pairings(loaded);
  let opener: StuckOpener | null = null;
  let opened: Promise<RemoteOpener> | null = null;
  await new Promise<void>((asked) => {
    opener = new StuckOpener(asked);
    opened = pairings.open(async () => opener as unknown as RemoteOpener);
  });
  pairings.close();
  expect(opener!).toMatchObject({ closed: true });
  await expect(opened).rejects.toMatchObject({ name: "ConnectionError", code: "closed" });
});
