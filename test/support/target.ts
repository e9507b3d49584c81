import type { TargetInfo } from "../../src/protocol/frame.ts";

/** What a small cloud says of its model. */
export const TARGET: TargetInfo = {
  name: "m",
  fingerprint: "f",
  vocabularySize: 100,
  contextTokens: 50,
  endTokens: [0],
  chatTemplate: null,
};
