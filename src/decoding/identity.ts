/**
 * What the numbers of a target depend on. Two targets with equal identities give one text for one seed; where a part
 * differs, logits differ in their last bits, and tokens that are nearly tied change places.
 */
export interface TargetIdentity {
  /** of the weights; see docs/protocol.md for what is hashed. It tells files apart and is no proof of origin */
  readonly weights: string;
  /** such as `Q4_K_M` */
  readonly quantisation: string;
  /** of the engine, with its version: `llama.cpp 0.4.0` */
  readonly library: string;
  /** what computes: `cpu`, `cuda`, `vulkan`, `metal` */
  readonly backend: string;
  /** which of the library's builds for CPUs is loaded, such as `haswell` */
  readonly cpuBuild: string;
}

/** UTF-16 units of one part. */
export const MOST_IDENTITY_UNITS = 512;

const PARTS = {
  weights: "weights",
  quantisation: "quantisation",
  library: "library",
  backend: "compute backend",
  cpuBuild: "CPU build",
} as const satisfies Record<keyof TargetIdentity, string>;

const PART_NAMES = Object.keys(PARTS) as (keyof TargetIdentity)[];

/** Which parts differ, in words: "CPU build (icelake, before: haswell)". null: the two are equal. */
export function identityDifference(before: TargetIdentity, now: TargetIdentity): string | null {
  const parts = PART_NAMES.filter((part) => before[part] !== now[part]);
  if (parts.length === 0) return null;
  return parts.map((part) => `${PARTS[part]} (${now[part]}, before: ${before[part]})`).join(", ");
}

/** In one line, for people. */
export function identityText({ weights, quantisation, library, backend, cpuBuild }: TargetIdentity): string {
  return `weights ${weights}, ${quantisation}, ${library}, ${backend}, CPU build ${cpuBuild}`;
}
