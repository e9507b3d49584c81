import type { TraceArguments } from "./trace-file.ts";

/** A frame, as far as its positions and counts go. */
interface CountedFrame {
  readonly lineage?: number;
  readonly first?: number;
  readonly position?: number;
  readonly tokens?: { readonly length: number };
  readonly rejection?: object | null;
}

/** What a trace says of a frame: bytes, lineage and positions, and never what the tokens are. */
export function frameArguments(frame: object, bytes: number): TraceArguments {
  const { lineage, first, position, tokens, rejection } = frame as CountedFrame;
  return {
    bytes,
    ...(lineage === undefined ? {} : { lineage }),
    ...(first === undefined ? {} : { first }),
    ...(position === undefined ? {} : { position }),
    ...(tokens === undefined ? {} : { tokens: tokens.length }),
    ...(rejection ? { rejected: true } : {}),
  };
}
