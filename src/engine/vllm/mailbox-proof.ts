import { createHmac } from "node:crypto";

/**
 * What each side of a mailbox shows of the secret that both have. The labels keep the proofs of the two sides apart, and
 * with their zero byte apart from all else that is made with the secret, such as a principal's salt: what a stranger gets
 * by a greeting is of no use anywhere. Both nonces are in it, so that it counts for one connection.
 */

const LABELS = {
  gateway: "picospec mailbox 2 gateway\0",
  plugin: "picospec mailbox 2 plugin\0",
} as const;

/** @param nonces the plugin's, then the gateway's @param told what the plugin says with it; 32 bytes come back */
export function proofOf(
  secret: string,
  side: keyof typeof LABELS,
  nonces: Uint8Array,
  told: Uint8Array = new Uint8Array(0),
): Uint8Array {
  return createHmac("sha256", secret).update(LABELS[side]).update(nonces).update(told).digest();
}
