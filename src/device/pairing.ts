import { judgePair, summarised, type VocabularyTable } from "../decoding/vocabulary-pair.ts";
import { CloudError } from "../edge/connection.ts";
import type { Drafter } from "../edge/drafters/drafter.ts";
import { pairedDrafter } from "../edge/drafters/paired-drafter.ts";
import type { Opener, RemoteOpener } from "../edge/opener.ts";
import type { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { TargetInfo } from "../protocol/frame.ts";
import { ConnectionError } from "../transport/transport.ts";
import { summaryOf, type VocabularySource } from "./cloud-vocabulary.ts";
import { cloudTokenizer, type LoadedDrafter } from "./drafter.ts";
import { loadGrammars } from "./grammars.ts";

/**
 * What a device drafts with for one target, and whose words it reads. With one tokenizer on both sides that is what it
 * has loaded. Otherwise prompts and texts go through the target's, and what differs between the two is never drafted.
 */
interface Pairing {
  readonly tokenizer: LlamaTokenizer;
  readonly drafter: Drafter;
  /** null: answers keep to no grammars here */
  readonly grammars: Grammars | null;
  close(): void;
}

/** Each keeps a tokenizer in memory, since answers may still be read with it. */
const MOST_PAIRINGS = 8;

/** What one loaded drafter is for the targets that it meets: nearly always one, with its own tokenizer. */
export class Pairings {
  private readonly loaded: LoadedDrafter;
  /** with the tokenizer that it was loaded with */
  private own: Pairing;
  /** for targets with another tokenizer */
  private readonly others: Pairing[] = [];
  private readonly byOpener = new WeakMap<Opener, Pairing>();
  private latest: Pairing;
  /** their targets are being paired */
  private readonly asked = new Set<RemoteOpener>();
  private closed = false;

  constructor(loaded: LoadedDrafter) {
    const { tokenizer, drafter } = loaded;
    this.loaded = loaded;
    this.own = { tokenizer, drafter, grammars: null, close() {} };
    this.latest = this.own;
  }

  /** Over the drafter's own vocabulary; null: there are none. */
  get grammars(): Grammars | null {
    return this.own.grammars;
  }

  /** From now on drafts keep to grammars where a question has one. A link made before knows nothing of them. */
  useGrammars(grammars: Grammars): void {
    const isLatest = this.latest === this.own;
    this.own = { ...this.own, grammars };
    if (isLatest) this.latest = this.own;
  }

  /** What was taken for the target behind an opener. */
  of(opener: Opener): Pairing {
    return this.byOpener.get(opener) ?? this.own;
  }

  /**
   * Connects as for the target that was met last, and once more where this one has another tokenizer.
   * @param openAs makes an opener with an empty fingerprint: the edge itself knows whether it fits. The target is one that
   * has to be served; null: any
   * @throws CloudError `tokenizer_mismatch`, `bad_tokenizer`, and what `openAs` throws
   */
  async open(
    openAs: (pairing: Pairing, target: TargetInfo | null) => Promise<RemoteOpener>,
  ): Promise<RemoteOpener> {
    const first = await openAs(this.latest, null);
    if (fits(this.latest, first.target)) return this.adopted(first);
    const { target } = first;
    this.asked.add(first);
    try {
      this.latest = await this.pairingFor(first);
    } catch (error) {
      throw this.closed ? closedError() : error;
    } finally {
      this.asked.delete(first);
      first.close();
    }
    return this.adopted(await openAs(this.latest, target));
  }

  /** Ends what is being paired. What was loaded stays its owner's to close. */
  close(): void {
    this.closed = true;
    for (const opener of this.asked) opener.close();
    for (const pairing of this.others.splice(0)) pairing.close();
  }

  private adopted(client: RemoteOpener): RemoteOpener {
    this.byOpener.set(client, this.latest);
    return client;
  }

  private async pairingFor(client: RemoteOpener): Promise<Pairing> {
    const known = [this.own, ...this.others].find((pairing) => fits(pairing, client.target));
    if (known) return known;
    if (this.others.length >= MOST_PAIRINGS) {
      throw new CloudError("other_target", "the cloud has changed its model too often: start the edge anew");
    }
    const pairing = await pairWith(this.loaded, client, this.own.grammars !== null);
    if (this.closed) {
      pairing.close();
      throw closedError();
    }
    this.others.push(pairing);
    return pairing;
  }
}

function closedError(): ConnectionError {
  return new ConnectionError("closed", "this edge was closed; make another");
}

/** Whether the target has the tokenizer of a pairing. A cloud that tells no identity is of release 0.1. */
function fits({ tokenizer }: Pairing, { vocabulary, fingerprint }: TargetInfo): boolean {
  return vocabulary ? vocabulary.identity === tokenizer.identity : fingerprint === tokenizer.fingerprint;
}

/** What a cloud is asked for. */
type Source = VocabularySource & { readonly target: TargetInfo };

/**
 * For a target of another tokenizer.
 * @param withGrammars grammars are loaded over its vocabulary
 * @throws CloudError `tokenizer_mismatch` with the reason where the two are no pair; `bad_tokenizer`
 */
async function pairWith(loaded: LoadedDrafter, source: Source, withGrammars: boolean): Promise<Pairing> {
  const { target } = source;
  const { vocabulary } = target;
  const own = await loaded.vocabulary?.();
  // Before the tokenizer is fetched: what a refusal needs is little.
  const early = own && vocabulary ? await barredOf(own, summaryOf(source, vocabulary), target) : null;
  const theirs = await cloudTokenizer(source).catch((error: unknown) => {
    throw error instanceof CloudError && error.code === "no_tokenizer" ? strangers(loaded, target) : error;
  });
  try {
    const barred = early ?? (own ? await barredOf(own, summarised(await theirs.table()), target) : null);
    const { tokenizer } = theirs;
    const pairing: Pairing = {
      tokenizer,
      drafter: barred && barred.length > 0 ? pairedDrafter(loaded.drafter, barred) : loaded.drafter,
      grammars: withGrammars ? await loadGrammars(tokenizer, tokenizer.endTokens()) : null,
      close: theirs.close,
    };
    if (fits(pairing, target)) return pairing;
    throw new CloudError("bad_tokenizer", `${target.name}: the cloud gave another tokenizer than it told of`);
  } catch (error) {
    theirs.close();
    throw error;
  }
}

async function barredOf(
  own: VocabularyTable,
  target: Parameters<typeof judgePair>[1],
  { name }: TargetInfo,
): Promise<Int32Array> {
  const verdict = await judgePair(own, target);
  if (verdict.problem === null) return verdict.barred;
  const message = `the drafter cannot draft for ${name}: ${verdict.problem}; take a drafter of the target's family, or prompt lookup`;
  throw new CloudError("tokenizer_mismatch", message);
}

/** The cloud gives nothing away that the two could be compared by. */
function strangers({ tokenizer }: LoadedDrafter, { name, fingerprint }: TargetInfo): CloudError {
  const message = `the drafter's tokenizer ${tokenizer.fingerprint} is not the target's ${fingerprint} (${name}), and the cloud gives nothing away to compare them by; take a drafter of the same family`;
  return new CloudError("tokenizer_mismatch", message);
}
