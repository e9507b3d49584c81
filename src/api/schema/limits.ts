/** Bounds of one request. */
export const REQUEST_LIMITS = {
  choices: 16,
  stops: 16,
  stopUnits: 256,
  tools: 128,
  /** characters of an id that a client gives */
  idUnits: 256,
  messages: 10_000,
  /** parts of a message */
  parts: 1000,
  /** prompts of a plain completion, and tokens of one */
  prompts: 32,
  promptTokens: 300_000,
} as const;
