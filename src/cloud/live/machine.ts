import type { LiveRequest, LiveStep } from "../../engine/live-engine.ts";

/** What sessions over a live engine exchange with it: runs and hints out, committed tokens in. */

export interface LiveLimits {
  /** most runs at a time; sessions past that wait, oldest first */
  readonly runs: number;
  /** most drafts in one offer */
  readonly draftTokens: number;
}

/** @remarks `run` tells apart what a cancelled run still says */
export type LiveEvent =
  | { readonly kind: "committed"; readonly session: number; readonly run: number; readonly step: LiveStep }
  | { readonly kind: "runEnded"; readonly session: number; readonly run: number }
  | {
      readonly kind: "runFailed";
      readonly session: number;
      readonly run: number;
      /** of the engine's error */
      readonly code: string;
      readonly message: string;
    };

export type LiveEffect =
  | { readonly kind: "run"; readonly session: number; readonly run: number; readonly request: LiveRequest }
  /** drafts of the session's run, from a position on */
  | {
      readonly kind: "offer";
      readonly session: number;
      readonly position: number;
      readonly tokens: Int32Array;
    }
  /** the session's run is of no use any more */
  | { readonly kind: "cancelRun"; readonly session: number };
