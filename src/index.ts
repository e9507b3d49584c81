/**
 * PicoSpec as a library, without anything of Node: engines, clock and sockets come in as arguments.
 * `picospec/node` adds llama.cpp, WebSockets and a server.
 */
export { Cloud, type CloudOptions, cloudLimits, type TargetDescription } from "./cloud/cloud.ts";
export type { CloudLimits } from "./cloud/machine.ts";
export {
  checkPolicy,
  type DecodingPolicy,
  POLICIES,
  type PolicyName,
  policyNamed,
} from "./decoding/policy.ts";
export type { CloudUsage, SessionSettings, StopReason } from "./decoding/session.ts";
export { EdgeClient, type EdgeClientOptions } from "./edge/client.ts";
export { CloudError, type Reconnect } from "./edge/connection.ts";
export type { Drafter, DrafterReach, DraftRequest } from "./edge/drafter.ts";
export {
  type AnswerEnd,
  type AnswerEvent,
  type AnsweredToken,
  type AnswerRequest,
  Edge,
  type EdgeOptions,
  type WholeAnswer,
} from "./edge/edge.ts";
export {
  type ConnectOptions,
  connectEdge,
  type Generated,
  type GenerateOptions,
  generate,
  generateAlone,
  type ResumeOptions,
  type TextPart,
} from "./edge/generate.ts";
export { LookupDrafter, TwoDrafters } from "./edge/lookup-drafter.ts";
export type { Outcome, TokenOrigin } from "./edge/machine.ts";
export { ParallelDrafter } from "./edge/parallel-drafter.ts";
export { type RunReport, runReport } from "./edge/report.ts";
export type { EdgeSession, SessionListener } from "./edge/session.ts";
export type { PipelineStatistics } from "./edge/statistics.ts";
export {
  type DraftModel,
  EngineError,
  type HeldRow,
  type ModelInfo,
  type PassItem,
  type PassResult,
  type TargetModel,
} from "./engine/engine.ts";
export { PACE_PROFILES, type PaceProfile, pacedDrafter, pacedTarget, paceNamed } from "./engine/paced.ts";
export { RowAnswers } from "./engine/rows.ts";
export { ToyDraftModel, type ToyLanguage, ToyTargetModel, toyLogits } from "./engine/toy.ts";
export { decode } from "./protocol/decode.ts";
export { encode } from "./protocol/encode.ts";
export { ProtocolError, type ProtocolErrorCode } from "./protocol/errors.ts";
export { type Frame, PROTOCOL_LIMITS, PROTOCOL_VERSION, type TargetInfo } from "./protocol/frame.ts";
export { type FrameLink, wireLink } from "./protocol/link.ts";
export type { Answer, Coupling, Exchange, Question, Rejection, TokenLogprobs } from "./sampling/question.ts";
export { type Seed, seedText, toSeed } from "./sampling/random.ts";
export { DEFAULT_SAMPLER, type SamplerSettings, samplerSettings } from "./sampling/sampler.ts";
export {
  type ChatMessage,
  type ChatTool,
  chatPrompt,
  TemplateError,
  type ToolCall,
} from "./text/chat-template.ts";
export type { GrammarMatcher, Grammars } from "./text/grammar.ts";
export { StreamingText, type Tokenizer } from "./text/tokenizer.ts";
export { memoryPair } from "./transport/memory.ts";
export { ConnectionError, type Transport, type TransportHandlers } from "./transport/transport.ts";
export { type LinkProfile, symmetricWan, type WanProfile, wan } from "./transport/wan.ts";
export { type WebSocketLike, webSocketTransport } from "./transport/websocket.ts";
export type { CancelTimer, Clock } from "./util/clock.ts";
export { PicoSpecError, SettingError } from "./util/errors.ts";
export { VirtualClock } from "./util/virtual-clock.ts";
