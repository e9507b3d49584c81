/** Bounds of what a file or a cloud can make this machine do before it is found out. */
export const ISOLATION_LIMITS = {
  /** of the check of a model file, against one that keeps its reader busy for ever */
  fileMs: 60_000,
  /**
   * the same of a tokenizer that a cloud sent: a client waits for it. 256,000 tokens took 12 s on a busy machine, and 22 s
   * on two cores with fourteen processes for them
   */
  tokenizerMs: 60_000,
  /** memory of a child process, against one that asks for all there is; a file that is computed with comes on top */
  memoryBytes: 2 * 2 ** 30,
  /** of it, what JavaScript may have */
  heapMegabytes: 1024,
  /** files up to this size are loaded and computed with; of larger ones a check takes the structure, without the weights */
  computedBytes: 512 * 2 ** 20,
  /** files that are known to be fine; the one that was checked longest ago makes way */
  remembered: 256,
  /** of the last words of a process that died */
  reasonCharacters: 200,
  /** Jinja source of a chat template; the longest known have 20,000 */
  templateCharacters: 2 ** 20,
  /** of a rendered conversation */
  promptCharacters: 16 * 2 ** 20,
  /** to start a process that renders: a machine may be busy */
  templateStartMs: 30_000,
  /** of one rendering, against loops */
  templateMs: 5000,
  /** memory of the process that renders, against templates that grow */
  templateBytes: 1024 * 2 ** 20,
  templateHeapMegabytes: 256,
  /** renderings that wait for their turn */
  templatesWaiting: 512,
} as const;

export type IsolationLimits = { readonly [name in keyof typeof ISOLATION_LIMITS]: number };
