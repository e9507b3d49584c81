import type { RunReport } from "../edge/report.ts";
import type { NamedHardware, NamedPolicy, SeedValue } from "./options.ts";

export interface DemoValues extends SeedValue {
  readonly policy: NamedPolicy[];
  readonly prompt: string;
  readonly rtt: number;
  readonly jitter: number;
  readonly mbps: number;
  readonly hardware: NamedHardware | null;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly json?: true;
}

/** The object that `demo --json` prints. */
export interface DemoReport {
  readonly prompt: string;
  readonly seed: string;
  readonly emulated: { readonly rttMs: number; readonly pace: string | null };
  readonly runs: readonly RunReport[];
  /** tokens a second of the last run over the first */
  readonly speedup: number;
}
