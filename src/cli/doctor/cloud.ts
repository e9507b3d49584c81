import { fitBandwidth, quantile, type RateEstimate, type TransferSample } from "../../../lab/models/fit.ts";
import { identityText } from "../../decoding/identity.ts";
import type { PairVerdict } from "../../decoding/vocabulary-pair.ts";
import type { Failure, Outcome } from "../../device/isolation/outcome.ts";
import type { ModelFile } from "../../engine/llama/gguf.ts";
import { PROTOCOL_VERSION, type TargetInfo } from "../../protocol/frame.ts";
import { type Check, ok, problem, warning } from "./check.ts";

/** Checks of a cloud and the way to it, on facts that come from elsewhere. */

/** Whether an address can be one of a cloud, and whether others can read along. */
export function addressCheck(address: string): Check {
  const name = "cloud address";
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url?.protocol !== "ws:" && url?.protocol !== "wss:") {
    return problem(name, `"${address}" is no address of a cloud`, "write ws://HOST:PORT, or wss://HOST");
  }
  if (url.protocol === "wss:") return ok(name, address);
  if (!isLoopback(url.hostname)) {
    const advice =
      "give the cloud --tls-cert and --tls-key, or put it behind a TLS proxy, and write wss://; or use a tunnel: ssh -N -L 4747:127.0.0.1:4747 HOST";
    return warning(name, `${address} is not encrypted: others on the way can read along`, advice);
  }
  if (url.port === "") {
    return warning(
      name,
      `${address} means port 80`,
      "add the port: picospec cloud takes 4747 unless it is told otherwise",
    );
  }
  return ok(name, address);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\./.test(host);
}

/** How the way to a port was: `stage` says how far it went. */
export type Reach =
  | { readonly stage: "tcp"; readonly code: string; readonly message: string }
  | { readonly stage: "websocket"; readonly message: string }
  /** by its key, its certificate or its origin */
  | { readonly stage: "refused"; readonly message: string }
  | { readonly stage: "open"; readonly tcpMs: number };

export function reachCheck(reach: Reach): Check {
  const name = "cloud reach";
  switch (reach.stage) {
    case "tcp":
      return problem(name, `no connection: ${reach.message}`, TCP_ADVICE[reach.code] ?? TCP_ADVICE.other!);
    case "websocket": {
      const advice =
        "check that a picospec cloud listens there, and that a proxy before it passes WebSockets on";
      return problem(name, `the port answers, and no WebSocket opens: ${reach.message}`, advice);
    }
    case "refused": {
      const [what, advice] = reach.message.split(/: (?=give |ask |its operator )/, 2);
      return problem(name, what ?? reach.message, advice ?? "ask the operator of the cloud");
    }
    case "open":
      return ok(name, `a WebSocket opens; TCP took ${reach.tcpMs.toFixed(1)} ms`);
    default:
      return reach satisfies never;
  }
}

const TCP_ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there: start picospec cloud, and compare its port",
  ENOTFOUND: "the host's name is not known: check its spelling, and DNS",
  EAI_AGAIN: "names cannot be looked up now: check the network and DNS",
  ETIMEDOUT: "the host does not answer: check its address, and firewalls on the way",
  EHOSTUNREACH: "there is no way to the host: check the network, and a VPN",
  ENETUNREACH: "there is no way to the host: check the network, and a VPN",
  other: "check the address, the network, and that picospec cloud runs there",
};

/** What the cloud said to a hello. */
export function protocolCheck(answer: Outcome<TargetInfo>): Check {
  const name = "cloud protocol";
  if (answer.ok) return ok(name, `version ${PROTOCOL_VERSION}`);
  return problem(name, answer.failure.message, helloAdvice(answer.failure));
}

function helloAdvice({ code }: Failure): string {
  switch (code) {
    case "protocol_version":
      return `update the older side: this one speaks version ${PROTOCOL_VERSION}`;
    case "server_full":
      return "try again later, or give the cloud more --sessions";
    case "shutting_down":
      return "start the cloud anew";
    default:
      return "check that a picospec cloud listens there, and not some other server";
  }
}

const SHORT_CONTEXT_TOKENS = 1024;

export function targetCheck(target: TargetInfo): Check {
  const name = "cloud target";
  const about = `${target.name}, ${target.vocabularySize} tokens (${target.fingerprint}), context ${target.contextTokens}`;
  const detail = target.identity ? `${about}, ${identityText(target.identity)}` : about;
  if (target.chatTemplate === null) {
    return warning(name, `${detail}, no chat template`, "serve an instruction-tuned file, or give --raw");
  }
  if (target.contextTokens < SHORT_CONTEXT_TOKENS) {
    return warning(
      name,
      `${detail}, which is short`,
      "give the cloud a larger --context, where the model has it",
    );
  }
  return ok(name, detail);
}

/** @param judged null: the cloud gives nothing away to judge by, and has another fingerprint */
export function tokenizerCheck(target: TargetInfo, model: ModelFile, judged: PairVerdict | null): Check {
  const name = "cloud tokenizer";
  if (judged?.problem === null) return ok(name, `${model.name} can draft for ${target.name}`);
  const detail = judged
    ? `${model.name} cannot draft for ${target.name}: ${judged.problem}`
    : `${model.name} has ${model.fingerprint}, and ${target.name} ${target.fingerprint}`;
  return problem(name, detail, "take a drafter of the target's family, or --drafter lookup without --model");
}

/** A round trip this long is felt in every answer, whatever the policy. */
const LONG_MS = 500;

/** @param pings one or more */
export function roundTripCheck(pings: Outcome<readonly number[]>): Check {
  const name = "cloud round trip";
  if (!pings.ok)
    return problem(name, pings.failure.message, "try again; if it stays so, look at the network");
  const sorted = pings.value.toSorted((a, b) => a - b);
  const median = quantile(sorted, 0.5);
  const detail = `median ${median.toFixed(1)} ms of ${sorted.length} pings, ${sorted[0]!.toFixed(1)} to ${sorted.at(-1)!.toFixed(1)} ms`;
  if (median < LONG_MS) return ok(name, detail);
  return warning(name, detail, "take a cloud that is nearer; picospec plan says which policy pays off here");
}

/** At 100 bytes a token, as race sends, this is 60 tokens/s: less could hold answers back. */
const NARROW_MBPS = 0.05;

export interface Transfers {
  readonly up: readonly TransferSample[];
  readonly down: readonly TransferSample[];
}

export function bandwidthCheck(transfers: Outcome<Transfers>): Check {
  const name = "cloud bandwidth";
  if (!transfers.ok)
    return problem(name, transfers.failure.message, "try again; if it stays so, look at the network");
  const { up, down } = transfers.value;
  if (up.length < 3) {
    return warning(
      name,
      "too slow to be measured in the time there is",
      "expect slow answers, or take another network",
    );
  }
  const [upward, downward] = [fitBandwidth(up), fitBandwidth(down)];
  const detail = `up ${rateText(upward)}, down ${rateText(downward)}`;
  if (upward && upward.value < NARROW_MBPS) {
    return warning(name, detail, "take picospec or vanilla for fewer bytes up, or another network");
  }
  return ok(name, detail);
}

/** A slope that is within its error of none shows no limit. */
function rateText(rate: RateEstimate | null): string {
  return rate === null || rate.high === null ? "no limit seen" : `${rate.value.toPrecision(3)} Mbit/s`;
}
