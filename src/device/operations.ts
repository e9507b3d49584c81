import type { CloudObserver } from "../cloud/core/observer.ts";
import { CloudAudit } from "../ops/cloud/audit.ts";
import { CloudMetrics, type ObservedCloud } from "../ops/cloud/metrics.ts";
import { observedByAll } from "../ops/cloud/together.ts";
import { CloudTrace } from "../ops/cloud/trace.ts";
import { listenForOps, type OpsListener } from "../ops/listener.ts";
import { TraceFile } from "../ops/trace-file.ts";
import { systemClock } from "../transport/node/clock.ts";
import { type Log, SILENT_LOG } from "../util/log.ts";
import { version } from "./node.ts";
import { need, needWhole } from "./options.ts";

/** What looks after a cloud: probes and metrics on a port of their own, a log, a trace. */

export interface CloudOperationsOptions {
  /** of /healthz, /readyz and /metrics; 0: any free one. Default: null, there is no such port */
  readonly metricsPort?: number | null;
  /** default: 127.0.0.1, which only this machine reaches */
  readonly metricsHost?: string;
  /** a line a session, and more; no text and no secrets. Default: none */
  readonly log?: Log;
  /** a file that passes and sessions are written to in Chrome's trace format; default: null, none */
  readonly trace?: string | null;
}

/** Made before the cloud, so that its probes answer while the model is loaded; the caller closes it after the cloud. */
export class CloudOperations {
  readonly log: Log;
  readonly observer: CloudObserver;
  private readonly metrics: CloudMetrics;
  private readonly file: TraceFile | null;
  private readonly listener: OpsListener | null;
  private readonly state: { problem: string | null };

  /** @throws PicoSpecError `cannot_listen`, `cannot_write`; SettingError */
  static async open(options: CloudOperationsOptions = {}): Promise<CloudOperations> {
    const { metricsPort = null, metricsHost = "127.0.0.1", trace = null } = options;
    need(metricsHost !== "", "metricsHost", "is an address, such as 127.0.0.1", metricsHost);
    if (metricsPort !== null) needWhole("metricsPort", metricsPort, 0, 65_535);
    const metrics = new CloudMetrics(version());
    const state = { problem: LOADING as string | null };
    const file = trace === null ? null : new TraceFile(trace, { originMs: performance.timeOrigin });
    try {
      const notReady = () => state.problem;
      const ask = { host: metricsHost, notReady, metrics: () => metrics.text() };
      const listener = metricsPort === null ? null : await listenForOps({ ...ask, port: metricsPort });
      return new CloudOperations(options.log ?? SILENT_LOG, metrics, file, listener, state);
    } catch (error) {
      file?.close();
      throw error;
    }
  }

  private constructor(
    log: Log,
    metrics: CloudMetrics,
    file: TraceFile | null,
    listener: OpsListener | null,
    state: { problem: string | null },
  ) {
    this.log = log;
    this.metrics = metrics;
    this.file = file;
    this.listener = listener;
    this.state = state;
    const audit = new CloudAudit(log, systemClock);
    const traced = file ? [new CloudTrace(file, systemClock)] : [];
    this.observer = observedByAll([metrics, audit, ...traced]);
  }

  /** http://HOST:PORT of the probes and metrics; null: there is none */
  get url(): string | null {
    return this.listener?.url ?? null;
  }

  /** The model is loaded, and edges can come: /readyz says so. @param kvSlots 0: the engine sees to that itself */
  serving(cloud: ObservedCloud, kvSlots: number): void {
    this.metrics.serving(cloud, kvSlots);
    this.state.problem = null;
  }

  /** No more sessions are taken: /readyz says so. */
  draining(): void {
    this.state.problem = "draining";
  }

  async close(): Promise<void> {
    this.file?.close();
    await this.listener?.close();
  }

  /** `await using` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const LOADING = "the model is being loaded";
