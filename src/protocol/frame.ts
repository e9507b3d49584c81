import type { TargetIdentity } from "../decoding/identity.ts";
import type { CloudUsage, SessionSettings, StopReason } from "../decoding/session.ts";
import { BLOCK_IDS, type VocabularyInfo } from "../decoding/vocabulary-pair.ts";
import type { Rejection, TokenLogprobs, Witnesses } from "../sampling/question.ts";

/**
 * The frames between edge and cloud. docs/protocol.md gives the layout of each byte by byte; this file says
 * what they mean. Numbers on the wire are little-endian; arrays are aligned to their element.
 */

export const PROTOCOL_VERSION = 1;

/** Bounds of what a frame may hold. Each keeps a peer from making the other side allocate without end. */
export const PROTOCOL_LIMITS = {
  frameBytes: 16 * 1024 * 1024,
  controlBytes: 1024 * 1024,
  helloBytes: 64 * 1024,
  promptTokens: 1024 * 1024,
  draftTokens: 256,
  verdictTokens: 1024,
  headTokens: 256,
  witnesses: 1024,
  paddingBytes: 256 * 1024,
  /** names in the list of a hello or a welcome */
  features: 64,
  /** UTF-16 units of such a name, and of the name of a grammar's kind */
  featureUnits: 64,
  vocabulary: 1024 * 1024,
  /** bytes of a target's vocabulary as a file; it travels in chunks */
  vocabularyBytes: 64 * 1024 * 1024,
  /** bytes of a chunk as it travels */
  chunkBytes: 512 * 1024,
  /** positions, lineages and session ids stay below this */
  counter: 2 ** 31,
} as const;

/** What a peer accepts, in numbers. */
export interface PeerLimits {
  /** bytes of one frame */
  readonly frameBytes: number;
  /** tokens of one `open` */
  readonly promptTokens: number;
  /** tokens of one `draft`, and undecided ones of a session */
  readonly draftTokens: number;
  /** open sessions of one connection */
  readonly sessions: number;
}

/** What a peer says of them; what is missing is release 0.1's. */
export type StatedLimits = { readonly [Name in keyof PeerLimits]?: number | undefined };

/** First byte of a frame. */
export const FrameType = {
  hello: 1,
  welcome: 2,
  open: 3,
  draft: 4,
  verdict: 5,
  witnessRequest: 6,
  witnesses: 7,
  cancel: 8,
  done: 9,
  error: 10,
  ping: 11,
  pong: 12,
  tokenizerRequest: 13,
  tokenizer: 14,
  goAway: 15,
  vocabularyRequest: 16,
  vocabulary: 17,
} as const;

/** Edge to cloud, once, first. */
export interface HelloFrame {
  readonly type: "hello";
  readonly protocol: number;
  readonly client: string;
  /** of the drafter's tokenizer; empty: the edge has none, and will ask for it */
  readonly fingerprint: string;
  /** what this peer can do besides release 0.1; no list: nothing. See `peerOf` */
  readonly features?: readonly string[] | undefined;
  /** what it accepts; what is missing is release 0.1's bound */
  readonly limits?: StatedLimits | undefined;
}

/** What an edge has to know about the target. */
export interface TargetInfo {
  readonly name: string;
  readonly fingerprint: string;
  readonly vocabularySize: number;
  /** most tokens of one session, prompt included */
  readonly contextTokens: number;
  readonly endTokens: readonly number[];
  /** Jinja source; null where the model has none */
  readonly chatTemplate: string | null;
  /** what its numbers depend on; default: unknown. Feature `identity` */
  readonly identity?: TargetIdentity | undefined;
  /** what its vocabulary is compared by; default: it cannot be asked for. Feature `vocabulary` */
  readonly vocabulary?: SentVocabulary | undefined;
}

/** A vocabulary that an edge can ask for. */
export interface SentVocabulary extends VocabularyInfo {
  /** of its file, before compression */
  readonly fileBytes: number;
  /** SHA-256 of the file, hexadecimal */
  readonly fileHash: string;
}

/** Cloud to edge, once: the answer to a hello that it accepts. */
export interface WelcomeFrame {
  readonly type: "welcome";
  readonly protocol: number;
  readonly server: string;
  readonly target: TargetInfo;
  /** as in a hello */
  readonly features?: readonly string[] | undefined;
  readonly limits?: StatedLimits | undefined;
}

export interface OpenFrame {
  readonly type: "open";
  readonly session: number;
  readonly settings: SessionSettings;
  /** what is committed, Int32Array[n], at least one token: the prompt, and after a resumption the answer so far */
  readonly tokens: Int32Array;
  /** known to this edge only: the client that has it may resume the session; null: no client */
  readonly secret: string | null;
  /** null: a new session */
  readonly resume: Resumption | null;
  /** the grammar travels as release 0.1 has it, EBNF as a string: the feature `grammar-kinds` is not agreed on */
  readonly plainGrammar?: boolean;
}

/** Goes on with a session whose link broke, on this cloud or another. */
export interface Resumption {
  /** how many of the tokens are the prompt */
  readonly promptTokens: number;
  /** of the drafts that follow: those that were pending come again, with the same number and the same q */
  readonly lineage: number;
  /** 1 for the first resumption; a smaller one than the cloud has seen is late */
  readonly epoch: number;
}

/** q of each draft: one number, the whole row (Float32Array[n * width]), or nothing under Gumbel coupling. */
export type DraftProbabilities =
  | { readonly kind: "none" }
  | { readonly kind: "sparse"; readonly values: Float32Array }
  | { readonly kind: "dense"; readonly width: number; readonly values: Float32Array };

/** A segment of drafts; with no tokens an acknowledgement. */
export interface DraftFrame {
  readonly type: "draft";
  readonly session: number;
  readonly lineage: number;
  /** position of tokens[0] */
  readonly first: number;
  /** the edge knows every token before this position to be committed */
  readonly committedThrough: number;
  /** the edge will not draft any further: from here on the cloud decodes by itself */
  readonly final: boolean;
  /** Int32Array[n] */
  readonly tokens: Int32Array;
  readonly q: DraftProbabilities;
}

export interface VerdictFrame {
  readonly type: "verdict";
  readonly session: number;
  /** the newest that the cloud has heard of; for statistics, since a verdict is applied by position */
  readonly lineage: number;
  /** position of tokens[0] */
  readonly first: number;
  /** tokens that are committed now, Int32Array[n] */
  readonly tokens: Int32Array;
  /** what the target thought of each, n of them with equally many tops; null or not given: the session wants none */
  readonly logprobs?: readonly TokenLogprobs[] | null;
  /** the draft at first + n is rejected, and the edge resamples it */
  readonly rejection: Rejection | null;
}

/** Edge to cloud: more witnesses for the rejection at `position`; count 0 asks for all of p. */
export interface WitnessRequestFrame {
  readonly type: "witnessRequest";
  readonly session: number;
  readonly lineage: number;
  readonly position: number;
  readonly from: number;
  readonly count: number;
}

export interface WitnessesFrame {
  readonly type: "witnesses";
  readonly session: number;
  readonly lineage: number;
  readonly position: number;
  readonly from: number;
  /** what was asked for: witnesses, or all of p as Float32Array[V] */
  readonly reply:
    | { readonly kind: "witnesses"; readonly witnesses: Witnesses }
    | { readonly kind: "dense"; readonly probabilities: Float32Array };
}

export interface CancelFrame {
  readonly type: "cancel";
  readonly session: number;
}

export interface DoneFrame {
  readonly type: "done";
  readonly session: number;
  readonly reason: StopReason;
  readonly usage: CloudUsage;
}

/** Ends a session; with session 0 the connection. */
export interface ErrorFrame {
  readonly type: "error";
  readonly session: number;
  readonly code: string;
  readonly message: string;
  /** another try before this many ms is in vain; default: not told */
  readonly retryAfterMs?: number | undefined;
}

/** Cloud to edge: it will end this connection. Sessions that are open go on until then; others belong elsewhere. Feature `go-away` */
export interface GoAwayFrame {
  readonly type: "goAway";
  readonly withinMs: number;
}

/**
 * `sentAtMs` is the sender's own clock; the pong gives it back. Padding measures bandwidth: with `echo` the pong
 * carries as much, and without none.
 */
export interface PingFrame {
  readonly type: "ping" | "pong";
  readonly sentAtMs: number;
  readonly paddingBytes: number;
  readonly echo: boolean;
}

/** What answers a ping. */
export function pongFor({ sentAtMs, paddingBytes, echo }: PingFrame): PingFrame {
  return { type: "pong", sentAtMs, paddingBytes: echo ? paddingBytes : 0, echo: false };
}

/** Edge to cloud: it has no tokenizer of its own. */
export interface TokenizerRequestFrame {
  readonly type: "tokenizerRequest";
}

/** Cloud to edge: the metadata of the target's GGUF file, as a GGUF file without tensors. */
export interface TokenizerFrame {
  readonly type: "tokenizer";
  readonly file: Uint8Array;
}

/** What there is of a vocabulary, by its number on the wire: see `chunksOf`. */
export const VOCABULARY_PARTS = ["file", "blocks", "entries"] as const;
export type VocabularyPart = (typeof VOCABULARY_PARTS)[number];

/** Edge to cloud: one chunk of a part. Feature `vocabulary` */
export interface VocabularyRequestFrame {
  readonly type: "vocabularyRequest";
  readonly part: VocabularyPart;
  /** from 0 */
  readonly chunk: number;
}

/** Cloud to edge: the chunk that was asked for. */
export interface VocabularyFrame {
  readonly type: "vocabulary";
  readonly part: VocabularyPart;
  readonly chunk: number;
  /** of a file compressed, zlib */
  readonly bytes: Uint8Array;
}

/** Bytes of a chunk of the file, before compression; the last may be shorter. */
export const FILE_CHUNK_BYTES = 256 * 1024;

/** How many chunks a part has. All block hashes are one chunk, and the entries of a block are one. */
export function chunksOf(part: VocabularyPart, { fileBytes, ids }: SentVocabulary): number {
  switch (part) {
    case "file":
      return Math.ceil(fileBytes / FILE_CHUNK_BYTES);
    case "blocks":
      return 1;
    case "entries":
      return Math.ceil(ids / BLOCK_IDS);
    default:
      return part satisfies never;
  }
}

export type Frame =
  | VocabularyRequestFrame
  | VocabularyFrame
  | TokenizerRequestFrame
  | TokenizerFrame
  | HelloFrame
  | WelcomeFrame
  | OpenFrame
  | DraftFrame
  | VerdictFrame
  | WitnessRequestFrame
  | WitnessesFrame
  | CancelFrame
  | DoneFrame
  | ErrorFrame
  | GoAwayFrame
  | PingFrame;

/** Bytes of the header that every frame starts with: type, flags, count, session. */
export const HEADER_BYTES = 8;

export const DraftFlag = { sparseQ: 1, denseQ: 2, final: 4 } as const;
export const VerdictFlag = { sparseRejection: 1, denseRejection: 2, logprobs: 4 } as const;
export const PingFlag = { echo: 1 } as const;
export const WitnessesFlag = { dense: 1 } as const;
