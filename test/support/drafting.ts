import { afterAll, beforeAll, type MockInstance, vi } from "vitest";
import { DraftGate } from "../../src/edge/core/draft-gate.ts";
import { DecodeTimes } from "../../src/engine/llama/decode-times.ts";

/**
 * In the tests of this file drafts are made whether they pay or not, and both models decode on threads of their own. In one
 * process short decodes would take turns on its event loop, so that hardly any draft came in time, and the edge would rest.
 */
export function keepDrafting(): void {
  const mocks: MockInstance[] = [];
  beforeAll(() => {
    mocks.push(vi.spyOn(DraftGate.prototype, "open", "get").mockReturnValue(true));
    mocks.push(vi.spyOn(DecodeTimes.prototype, "isShort").mockReturnValue(false));
  });
  afterAll(() => {
    for (const mock of mocks) mock.mockRestore();
  });
}
