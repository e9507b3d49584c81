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
  /** of keys, values and attention what is not as usual, such as `KV q8_0`. Not told: keys and values are F16 */
  readonly attention?: string | undefined;
}

/** Of a part that is not told. */
const USUAL = "usual";

/** UTF-16 units of one part. */
export const MOST_IDENTITY_UNITS = 512;

const PARTS = {
  weights: "weights",
  quantisation: "quantisation",
  library: "library",
  backend: "compute backend",
  cpuBuild: "CPU build",
  attention: "attention",
} as const satisfies Record<keyof TargetIdentity, string>;

const PART_NAMES = Object.keys(PARTS) as (keyof TargetIdentity)[];

/** Which parts differ, in words: "CPU build (icelake, before: haswell)". null: the two are equal. */
export function identityDifference(before: TargetIdentity, now: TargetIdentity): string | null {
  const parts = PART_NAMES.filter((part) => before[part] !== now[part]);
  if (parts.length === 0) return null;
  return parts
    .map((part) => `${PARTS[part]} (${now[part] ?? USUAL}, before: ${before[part] ?? USUAL})`)
    .join(", ");
}

/** In one line, for people. */
export function identityText(identity: TargetIdentity): string {
  const { weights, quantisation, library, backend, cpuBuild, attention } = identity;
  const parts = [`weights ${weights}`, quantisation, library, backend, `CPU build ${cpuBuild}`];
  return [...parts, ...(attention === undefined ? [] : [attention])].join(", ");
}
