import koffi from "koffi";
import type { Pointer } from "./abi.ts";

/** Memory outside of V8 that can be freed at once, where that is to be had; the collector takes its time. */
export interface NativeMemory {
  readonly address: Pointer;
  readonly bytes: number;
  free(): void;
}

/** koffi allocates no more than this. */
const MOST_KOFFI_BYTES = 2 ** 31 - 1;

/** null: there is no memory */
export function allocate(bytes: number): NativeMemory | null {
  try {
    if (bytes > MOST_KOFFI_BYTES) return collected(bytes);
    const address = koffi.alloc("uint8_t", bytes) as Pointer;
    return { address, bytes, free: () => koffi.free(address) };
  } catch {
    return null;
  }
}

function collected(bytes: number): NativeMemory {
  let data: ArrayBuffer | null = new ArrayBuffer(bytes);
  const address = koffi.address(data);
  return {
    address,
    bytes,
    free() {
      data = null;
    },
  };
}
