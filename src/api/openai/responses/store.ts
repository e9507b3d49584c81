/** Responses that are kept, so that others can go on from them, and clients can read them again. */

export interface StoredResponse {
  readonly id: string;
  readonly thread: StoredThread;
  /** as clients read it, without its output */
  readonly response: Readonly<Record<string, unknown>>;
}

/** What a response adds to a conversation. */
export interface StoredThread {
  /** who may read it: a hash of the API key that it was made with */
  readonly owner: string;
  /** seconds since 1970 */
  readonly createdSeconds: number;
  /** the response that it goes on from */
  readonly previous: string | null;
  /** items of its own, those of earlier responses not included */
  readonly input: readonly StoredItem[];
  readonly output: readonly StoredItem[];
}

/** As clients read them. */
export type StoredItem = Readonly<Record<string, unknown>> & { readonly id: string; readonly type: string };

/** Where responses are kept, within bounds: the oldest make way. Who asks for another's learns that there is none. */
export interface ResponseStore {
  /** One that is too large is not kept. */
  put(stored: StoredResponse): Promise<void>;
  /** @returns null: there is none, or none any more, or it is another's */
  get(id: string, owner: string): Promise<StoredResponse | null>;
  /** The same, without what a conversation does not need: many are read at once. */
  thread(id: string, owner: string): Promise<StoredThread | null>;
  /** @returns whether there was one */
  delete(id: string, owner: string): Promise<boolean>;
}

/** A line for the thread, and one for the rest. */
export function storedText({ id, thread, response }: StoredResponse): string {
  return `${JSON.stringify(thread)}\n${JSON.stringify({ id, response })}`;
}

/** @returns null: it is another's */
export function threadOf(text: string, owner: string): StoredThread | null {
  const thread = JSON.parse(text.slice(0, text.indexOf("\n"))) as StoredThread;
  return thread.owner === owner ? thread : null;
}

/** @returns null: it is another's */
export function storedOf(text: string, owner: string): StoredResponse | null {
  const thread = threadOf(text, owner);
  return thread && { ...JSON.parse(text.slice(text.indexOf("\n"))), thread };
}

interface MemoryLimits {
  readonly responses: number;
  /** of all texts, UTF-16 units: up to twice as many bytes */
  readonly units: number;
}

const MEMORY_LIMITS: MemoryLimits = { responses: 1000, units: 32 * 1024 * 1024 };

/** In memory: they go with the process. */
export class MemoryStore implements ResponseStore {
  /** texts by id, in order of age */
  private readonly kept = new Map<string, string>();
  private readonly limits: MemoryLimits;
  private units = 0;

  constructor(limits = MEMORY_LIMITS) {
    this.limits = limits;
  }

  async put(stored: StoredResponse): Promise<void> {
    const { responses, units } = this.limits;
    const text = storedText(stored);
    this.drop(stored.id);
    if (text.length > units) return;
    this.kept.set(stored.id, text);
    this.units += text.length;
    for (const id of this.kept.keys()) {
      if (this.kept.size <= responses && this.units <= units) break;
      this.drop(id);
    }
  }

  async get(id: string, owner: string): Promise<StoredResponse | null> {
    const text = this.kept.get(id);
    return text === undefined ? null : storedOf(text, owner);
  }

  async thread(id: string, owner: string): Promise<StoredThread | null> {
    const text = this.kept.get(id);
    return text === undefined ? null : threadOf(text, owner);
  }

  async delete(id: string, owner: string): Promise<boolean> {
    if ((await this.thread(id, owner)) === null) return false;
    this.drop(id);
    return true;
  }

  private drop(id: string): void {
    this.units -= this.kept.get(id)?.length ?? 0;
    this.kept.delete(id);
  }
}
