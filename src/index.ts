/**
 * PicoSpec as a library, without anything of Node: engines, clock and sockets come in as arguments.
 * `picospec/node` adds llama.cpp, WebSockets and a server.
 */

export type { CloudObserver, PassReport } from "./cloud/core/observer.ts";
export type { SessionEnded, SessionIdentity, SessionOpened, SessionReport } from "./cloud/core/session.ts";
export {
  Cloud,
  type CloudLimits,
  type CloudOptions,
  cloudLimits,
  type GivenVocabulary,
  type TargetDescription,
} from "./cloud/driver.ts";
export { KeyFileError, type KeyRecord, parseKeys } from "./cloud/trust/keys.ts";
export { type Tenant, type TenantLimits, UNLIMITED } from "./cloud/trust/tenant.ts";
export { GRAMMAR_KINDS, type Grammar, type GrammarKind } from "./decoding/grammar.ts";
export type { TargetIdentity } from "./decoding/identity.ts";
export {
  checkPolicy,
  type DecodingPolicy,
  POLICIES,
  type PolicyName,
  policyNamed,
} from "./decoding/policy.ts";
export type { CloudUsage, SessionSettings, StopReason } from "./decoding/session.ts";
export { type ConnectOptions, connectEdge, type ResumeOptions } from "./edge/connect.ts";
export { CloudError } from "./edge/connection.ts";
export type { Outcome, TokenOrigin } from "./edge/core/machine.ts";
export type { DrafterReach } from "./edge/core/reach.ts";
export type { SequenceView } from "./edge/core/session.ts";
export type { PipelineStatistics } from "./edge/core/statistics.ts";
export type { Drafter, DraftRequest, OpenSequences } from "./edge/drafters/drafter.ts";
export { LookupDrafter, TwoDrafters } from "./edge/drafters/lookup-drafter.ts";
export { ParallelDrafter } from "./edge/drafters/parallel-drafter.ts";
export type { SessionListener } from "./edge/driver.ts";
export {
  type AnswerEnd,
  type AnswerEvent,
  type AnsweredToken,
  type Answerer,
  type AnswerRequest,
  Edge,
  type EdgeOptions,
  type LinkState,
  type OfflineMode,
  type WholeAnswer,
} from "./edge/edge.ts";
export { type CloudState, Keeper, type KeeperOptions } from "./edge/keeper.ts";
export type { Reconnect } from "./edge/links.ts";
export { LocalOpener, type LocalOpenerOptions } from "./edge/local-opener.ts";
export type { AnswerObserver, ObservedAnswer } from "./edge/observer.ts";
export {
  type OpenedSession,
  type Opener,
  RemoteOpener,
  type RemoteOpenerOptions,
  type TextModel,
} from "./edge/opener.ts";
export { type RunReport, runReport } from "./edge/report.ts";
export {
  type Capabilities,
  checkCapabilities,
  ROW_CAPABILITIES,
  UnsupportedError,
} from "./engine/capabilities.ts";
export {
  acceptedLength,
  type DraftModel,
  EngineError,
  type HeldRow,
  type ModelInfo,
  type PassEngine,
  type PassItem,
  type PassResult,
  withPass,
} from "./engine/engine.ts";
export type { LiveEngine, LiveListener, LiveRequest, LiveRun, LiveStep } from "./engine/live-engine.ts";
export {
  HARDWARE_PROFILES,
  type HardwareProfile,
  hardwareNamed,
  PACE_PROFILES,
  type PaceProfile,
  pacedDrafter,
  pacedTarget,
  paceNamed,
} from "./engine/paced.ts";
export { RowAnswers } from "./engine/rows.ts";
export { ToyDraftModel } from "./engine/toy/draft-model.ts";
export { type ToyLanguage, toyLogits } from "./engine/toy/language.ts";
export { ToyLiveEngine, type ToyLiveOptions } from "./engine/toy/live-engine.ts";
export { ToyPassEngine } from "./engine/toy/pass-engine.ts";
export type { GrammarMatcher, Grammars } from "./grammar/grammar.ts";
export { GRAMMAR_LIMITS, LlguidanceGrammars, type LlguidanceOptions } from "./grammar/llguidance/grammars.ts";
export { type GrammarLimits, type GrammarModule, grammarModule } from "./grammar/llguidance/library.ts";
export { schemaGrammar } from "./grammar/schema/schema.ts";
export { decode } from "./protocol/decode.ts";
export { encode } from "./protocol/encode.ts";
export { ProtocolError, type ProtocolErrorCode } from "./protocol/errors.ts";
export { type Frame, PROTOCOL_LIMITS, PROTOCOL_VERSION, type TargetInfo } from "./protocol/frame.ts";
export { type FrameLink, wireLink } from "./protocol/link.ts";
export type { Answer, Coupling, Exchange, Question, Rejection, TokenLogprobs } from "./sampling/question.ts";
export { type Seed, seedText, toSeed } from "./sampling/random.ts";
export { DEFAULT_SAMPLER, type SamplerSettings, samplerSettings } from "./sampling/settings.ts";
export { chatPrompt, type RenderTemplate, TemplateError } from "./text/chat-template.ts";
export type { ChatMessage, ChatTool, PromptText, ToolCall } from "./text/conversation.ts";
export { type FillInTokens, fillInPrompt } from "./text/fill-in.ts";
export { SpecialTexts } from "./text/tame.ts";
export { PromptError, StreamingText, type Tokenizer } from "./text/tokenizer.ts";
export { memoryPair } from "./transport/memory.ts";
export { ConnectionError, type Transport, type TransportHandlers } from "./transport/transport.ts";
export { type LinkProfile, symmetricWan, type WanProfile, wan } from "./transport/wan.ts";
export { type WebSocketLike, webSocketTransport } from "./transport/websocket.ts";
export type { CancelTimer, Clock } from "./util/clock.ts";
export { PicoSpecError, SettingError } from "./util/errors.ts";
export type { Log, LogFields } from "./util/log.ts";
export { VirtualClock } from "./util/virtual-clock.ts";
