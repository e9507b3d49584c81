import { POLICIES } from "../../src/decoding/policy.ts";
import type { Frame } from "../../src/protocol/frame.ts";
import { DEFAULT_SAMPLER } from "../../src/sampling/sampler.ts";

/**
 * One example of every frame, with its bytes as docs/protocol.md prints them: an author of an edge in another
 * language tests against these. Numbers are chosen so that every field shows.
 */
const usage = {
  promptTokens: 3,
  committedTokens: 5,
  targetPasses: 2,
  targetRows: 7,
  targetMs: 200.5,
  prefillPasses: 0,
  fedTokens: 8,
  evictions: 0,
  reusedTokens: 0,
};

const target = {
  name: "m",
  fingerprint: "ab",
  vocabularySize: 2048,
  contextTokens: 512,
  endTokens: [1],
  chatTemplate: null,
};

export const GOLDEN: readonly { readonly name: string; readonly frame: Frame; readonly hex: string }[] = [
  {
    name: "draft, rejection coupling",
    frame: {
      type: "draft",
      session: 7,
      lineage: 2,
      first: 20,
      committedThrough: 18,
      final: false,
      tokens: Int32Array.of(11, 12),
      q: { kind: "sparse", values: Float32Array.of(0.5, 0.25) },
    },
    hex: "04 01 0200 07000000 02000000 14000000 12000000 00000000 0b000000 0c000000 0000003f 0000803e",
  },
  {
    name: "draft, Gumbel coupling, the last",
    frame: {
      type: "draft",
      session: 7,
      lineage: 2,
      first: 20,
      committedThrough: 18,
      final: true,
      tokens: Int32Array.of(11),
      q: { kind: "none" },
    },
    hex: "04 04 0100 07000000 02000000 14000000 12000000 00000000 0b000000",
  },
  {
    name: "draft, dense q of a vocabulary of 2",
    frame: {
      type: "draft",
      session: 7,
      lineage: 2,
      first: 20,
      committedThrough: 18,
      final: false,
      tokens: Int32Array.of(1),
      q: { kind: "dense", width: 2, values: Float32Array.of(0.25, 0.75) },
    },
    hex: "04 02 0100 07000000 02000000 14000000 12000000 02000000 01000000 0000803e 0000403f",
  },
  {
    name: "verdict, one token",
    frame: {
      type: "verdict",
      session: 7,
      lineage: 2,
      first: 20,
      tokens: Int32Array.of(11),
      rejection: null,
    },
    hex: "05 00 0100 07000000 02000000 14000000 0b000000",
  },
  {
    name: "verdict, one token is committed and the next is rejected",
    frame: {
      type: "verdict",
      session: 7,
      lineage: 2,
      first: 20,
      tokens: Int32Array.of(11),
      rejection: {
        kind: "sparse",
        ids: Int32Array.of(9, 4),
        probabilities: Float32Array.of(0.5, 0.25),
        tailMass: 0.25,
        witnesses: { ids: Int32Array.of(3), probabilities: Float32Array.of(0.125) },
      },
    },
    hex: "05 01 0100 07000000 02000000 14000000 0b000000 0200 0100 0000803e 09000000 04000000 0000003f 0000803e 03000000 0000003e",
  },
  {
    name: "verdict, rejection with all of p for a vocabulary of 2",
    frame: {
      type: "verdict",
      session: 7,
      lineage: 2,
      first: 20,
      tokens: Int32Array.of(),
      rejection: { kind: "dense", probabilities: Float32Array.of(0.25, 0.75) },
    },
    hex: "05 02 0000 07000000 02000000 14000000 02000000 0000803e 0000403f",
  },
  {
    name: "verdict, one token with its logprobs and the two likeliest",
    frame: {
      type: "verdict",
      session: 7,
      lineage: 2,
      first: 20,
      tokens: Int32Array.of(11),
      logprobs: [{ logprob: -1.5, topIds: Int32Array.of(9, 11), topLogprobs: Float32Array.of(-0.5, -1.5) }],
      rejection: null,
    },
    hex: "05 04 0100 07000000 02000000 14000000 0b000000 0200 0000 0000c0bf 09000000 0b000000 000000bf 0000c0bf",
  },
  {
    name: "witness request",
    frame: { type: "witnessRequest", session: 7, lineage: 2, position: 21, from: 1, count: 16 },
    hex: "06 00 1000 07000000 02000000 15000000 01000000",
  },
  {
    name: "witnesses",
    frame: {
      type: "witnesses",
      session: 7,
      lineage: 2,
      position: 21,
      from: 1,
      reply: {
        kind: "witnesses",
        witnesses: { ids: Int32Array.of(3, 5), probabilities: Float32Array.of(0.125, 0.0625) },
      },
    },
    hex: "07 00 0200 07000000 02000000 15000000 01000000 00000000 03000000 05000000 0000003e 0000803d",
  },
  {
    name: "witnesses, all of p for a vocabulary of 2",
    frame: {
      type: "witnesses",
      session: 7,
      lineage: 2,
      position: 21,
      from: 1025,
      reply: { kind: "dense", probabilities: Float32Array.of(0.25, 0.75) },
    },
    hex: "07 01 0000 07000000 02000000 15000000 01040000 02000000 0000803e 0000403f",
  },
  { name: "cancel", frame: { type: "cancel", session: 7 }, hex: "08 00 0000 07000000" },
  {
    name: "ping",
    frame: { type: "ping", sentAtMs: 1.5, paddingBytes: 0, echo: false },
    hex: "0b 00 0000 00000000 000000000000f83f 00000000",
  },
  {
    name: "ping, padded",
    frame: { type: "ping", sentAtMs: 1.5, paddingBytes: 4, echo: true },
    hex: "0b 01 0000 00000000 000000000000f83f 04000000 00000000",
  },
  {
    name: "pong",
    frame: { type: "pong", sentAtMs: 1.5, paddingBytes: 0, echo: false },
    hex: "0c 00 0000 00000000 000000000000f83f 00000000",
  },
  {
    name: "hello",
    frame: {
      type: "hello",
      protocol: 1,
      client: "me/1",
      fingerprint: "ab",
      features: ["grammar-kinds", "identity"],
      limits: { frameBytes: 16_777_216 },
    },
    hex: `01 00 0000 00000000 ${text(
      '{"protocol":1,"client":"me/1","fingerprint":"ab","features":["grammar-kinds","identity"],"limits":{"frameBytes":16777216}}',
    )}`,
  },
  {
    name: "hello, release 0.1",
    frame: { type: "hello", protocol: 1, client: "me/1", fingerprint: "ab" },
    hex: `01 00 0000 00000000 ${text('{"protocol":1,"client":"me/1","fingerprint":"ab"}')}`,
  },
  {
    name: "welcome",
    frame: {
      type: "welcome",
      protocol: 1,
      server: "picospec/0.2.0",
      target: {
        ...target,
        identity: {
          weights: "00112233445566778899aabbccddeeff",
          quantisation: "Q8_0",
          library: "llama.cpp 0.4.0",
          backend: "cpu",
          cpuBuild: "haswell",
        },
      },
      features: ["grammar-kinds", "identity"],
      limits: { frameBytes: 16_777_216, promptTokens: 1_048_576, draftTokens: 256, sessions: 32 },
    },
    hex: `02 00 0000 00000000 ${text(
      '{"protocol":1,"server":"picospec/0.2.0","target":{"name":"m","fingerprint":"ab","vocabularySize":2048,"contextTokens":512,"endTokens":[1],"chatTemplate":null,"identity":{"weights":"00112233445566778899aabbccddeeff","quantisation":"Q8_0","library":"llama.cpp 0.4.0","backend":"cpu","cpuBuild":"haswell"}},"features":["grammar-kinds","identity"],"limits":{"frameBytes":16777216,"promptTokens":1048576,"draftTokens":256,"sessions":32}}',
    )}`,
  },
  {
    name: "welcome, release 0.1",
    frame: {
      type: "welcome",
      protocol: 1,
      server: "picospec/0.1.0",
      target,
    },
    hex: `02 00 0000 00000000 ${text(
      '{"protocol":1,"server":"picospec/0.1.0","target":{"name":"m","fingerprint":"ab","vocabularySize":2048,"contextTokens":512,"endTokens":[1],"chatTemplate":null}}',
    )}`,
  },
  {
    name: "welcome with a vocabulary",
    frame: {
      type: "welcome",
      protocol: 1,
      server: "picospec/0.2.0",
      target: {
        ...target,
        vocabulary: {
          type: "BPE",
          ids: 2048,
          tokens: 2040,
          identity: "00112233445566778899aabbccddeeff",
          fileBytes: 300_000,
          fileHash: "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        },
      },
      features: ["vocabulary"],
    },
    hex: `02 00 0000 00000000 ${text(
      '{"protocol":1,"server":"picospec/0.2.0","target":{"name":"m","fingerprint":"ab","vocabularySize":2048,"contextTokens":512,"endTokens":[1],"chatTemplate":null,"vocabulary":{"type":"BPE","ids":2048,"tokens":2040,"identity":"00112233445566778899aabbccddeeff","fileBytes":300000,"fileHash":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}},"features":["vocabulary"]}',
    )}`,
  },
  {
    name: "vocabularyRequest",
    frame: { type: "vocabularyRequest", part: "entries", chunk: 3 },
    hex: "10 00 0000 00000000 02000000 03000000",
  },
  {
    name: "vocabulary",
    frame: { type: "vocabulary", part: "blocks", chunk: 0, bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
    hex: "11 00 0000 00000000 01000000 00000000 08000000 01020304 05060708",
  },
  {
    name: "open",
    frame: {
      type: "open",
      session: 7,
      settings: {
        policy: POLICIES.picospec,
        sampler: DEFAULT_SAMPLER,
        seed: { low: 5, high: 1 },
        maxTokens: 64,
      },
      tokens: Int32Array.of(0, 2, 300),
      secret: null,
      resume: null,
    },
    hex: `03 00 0000 07000000 03000000 a4010000 00000000 02000000 2c010000 ${text(
      '{"policy":{"target":true,"coupling":"rejection","adaptive":true,"segmentTokens":4,"windowTokens":8,"patienceMs":null,"bonusToken":false,"preVerify":true,"truncateAfterMs":250,"exchange":"sparse","topK":10},"sampler":{"temperature":1,"topK":0,"topP":1,"minP":0,"repetitionPenalty":1,"presencePenalty":0,"frequencyPenalty":0,"penaltyLastN":64,"logitBias":[]},"seed":"4294967301","maxTokens":64,"secret":null,"resume":null}',
    )}`,
  },
  {
    name: "open, resumed",
    frame: {
      type: "open",
      session: 7,
      settings: {
        policy: POLICIES.picospec,
        sampler: DEFAULT_SAMPLER,
        seed: { low: 5, high: 1 },
        maxTokens: 64,
      },
      tokens: Int32Array.of(0, 2, 300),
      secret: "0123456789abcdef",
      resume: { promptTokens: 2, lineage: 3, epoch: 1 },
    },
    hex: `03 00 0000 07000000 03000000 d6010000 00000000 02000000 2c010000 ${text(
      '{"policy":{"target":true,"coupling":"rejection","adaptive":true,"segmentTokens":4,"windowTokens":8,"patienceMs":null,"bonusToken":false,"preVerify":true,"truncateAfterMs":250,"exchange":"sparse","topK":10},"sampler":{"temperature":1,"topK":0,"topP":1,"minP":0,"repetitionPenalty":1,"presencePenalty":0,"frequencyPenalty":0,"penaltyLastN":64,"logitBias":[]},"seed":"4294967301","maxTokens":64,"secret":"0123456789abcdef","resume":{"promptTokens":2,"lineage":3,"epoch":1}}',
    )}`,
  },
  {
    name: "open with a grammar",
    frame: {
      type: "open",
      session: 7,
      settings: {
        policy: POLICIES.cloud,
        sampler: DEFAULT_SAMPLER,
        seed: { low: 5, high: 0 },
        maxTokens: 64,
        grammar: { kind: "ebnf", source: "root ::= [0-9]+" },
        logprobs: 2,
      },
      tokens: Int32Array.of(0, 2, 300),
      secret: null,
      resume: null,
    },
    hex: `03 00 0000 07000000 03000000 da010000 00000000 02000000 2c010000 ${text(
      '{"policy":{"target":true,"coupling":"gumbel","adaptive":false,"segmentTokens":0,"windowTokens":0,"patienceMs":0,"bonusToken":false,"preVerify":false,"truncateAfterMs":null,"exchange":"sparse","topK":10},"sampler":{"temperature":1,"topK":0,"topP":1,"minP":0,"repetitionPenalty":1,"presencePenalty":0,"frequencyPenalty":0,"penaltyLastN":64,"logitBias":[]},"seed":"5","maxTokens":64,"grammar":{"kind":"ebnf","source":"root ::= [0-9]+"},"logprobs":2,"secret":null,"resume":null}',
    )}`,
  },
  {
    name: "open with a grammar, release 0.1",
    frame: {
      type: "open",
      session: 7,
      settings: {
        policy: POLICIES.cloud,
        sampler: DEFAULT_SAMPLER,
        seed: { low: 5, high: 0 },
        maxTokens: 64,
        grammar: { kind: "ebnf", source: "root ::= [0-9]+" },
        logprobs: 2,
      },
      tokens: Int32Array.of(0, 2, 300),
      secret: null,
      resume: null,
      plainGrammar: true,
    },
    hex: `03 00 0000 07000000 03000000 c1010000 00000000 02000000 2c010000 ${text(
      '{"policy":{"target":true,"coupling":"gumbel","adaptive":false,"segmentTokens":0,"windowTokens":0,"patienceMs":0,"bonusToken":false,"preVerify":false,"truncateAfterMs":null,"exchange":"sparse","topK":10},"sampler":{"temperature":1,"topK":0,"topP":1,"minP":0,"repetitionPenalty":1,"presencePenalty":0,"frequencyPenalty":0,"penaltyLastN":64,"logitBias":[]},"seed":"5","maxTokens":64,"grammar":"root ::= [0-9]+","logprobs":2,"secret":null,"resume":null}',
    )}`,
  },
  {
    name: "tokenizerRequest",
    frame: { type: "tokenizerRequest" },
    hex: "0d 00 0000 00000000",
  },
  {
    name: "tokenizer",
    frame: { type: "tokenizer", file: Uint8Array.of(0x47, 0x47, 0x55, 0x46) },
    hex: "0e 00 0000 00000000 04000000 47475546",
  },
  {
    name: "goAway",
    frame: { type: "goAway", withinMs: 30_000 },
    hex: `0f 00 0000 00000000 ${text('{"withinMs":30000}')}`,
  },
  {
    name: "error with a time to come back",
    frame: { type: "error", session: 7, code: "quota_exceeded", message: "full", retryAfterMs: 2500 },
    hex: `0a 00 0000 07000000 ${text('{"code":"quota_exceeded","message":"full","retryAfterMs":2500}')}`,
  },
  {
    name: "done",
    frame: { type: "done", session: 7, reason: "end", usage },
    hex: `09 00 0000 07000000 ${text(JSON.stringify({ reason: "end", usage }))}`,
  },
  {
    name: "error",
    frame: { type: "error", session: 7, code: "bad_draft", message: "a gap" },
    hex: `0a 00 0000 07000000 ${text('{"code":"bad_draft","message":"a gap"}')}`,
  },
];

/** UTF-8 text as hex. */
function text(value: string): string {
  return [...new TextEncoder().encode(value)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
