/** PicoSpec as a library with everything of Node: llama.cpp, WebSockets, a server, real time. */

export { HttpError } from "./api/errors.ts";
export { type HttpOptions, type HttpServer, serveHttp } from "./api/server.ts";
export { type CloudServer, type ServerOptions, serveCloud } from "./cloud/server.ts";
export { type CreateCloudOptions, createCloud, type DeviceCloud } from "./device/cloud.ts";
export type { DrafterKind } from "./device/drafter.ts";
export { type CreateEdgeOptions, createEdge, type DeviceEdge } from "./device/edge.ts";
export { type CreateEdgesOptions, createEdges } from "./device/edges.ts";
export { type EndpointSettings, serveEndpoint } from "./device/endpoint.ts";
export { loadGrammars } from "./device/grammars.ts";
export { CloudOperations, type CloudOperationsOptions } from "./device/operations.ts";
export { type ContextOptions, LlamaContext } from "./engine/llama/context.ts";
export type { GpuChoice } from "./engine/llama/library.ts";
export { LlamaModel, type LoadOptions } from "./engine/llama/model.ts";
export {
  type EngineOptions,
  llamaDraftModel,
  llamaTargetModel,
  type TargetOptions,
} from "./engine/llama/models.ts";
export { LlamaTokenizer } from "./engine/llama/tokenizer.ts";
export { HubError } from "./hub/errors.ts";
export type { PullProgress } from "./hub/pull.ts";
export * from "./index.ts";
export { systemClock } from "./transport/node/clock.ts";
export { type ConnectSettings, connect } from "./transport/node/connect.ts";
export {
  type Certificate,
  type Handshake,
  type HandshakeRefusal,
  type Listener,
  type ListenOptions,
  listen,
} from "./transport/node/socket.ts";
