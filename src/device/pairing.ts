import { judgePair, summarised, type VocabularyTable } from "../decoding/vocabulary-pair.ts";
import { CloudError } from "../edge/connection.ts";
import type { Drafter } from "../edge/drafters/drafter.ts";
import { PairedDrafter } from "../edge/drafters/paired-drafter.ts";
import type { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { TargetInfo } from "../protocol/frame.ts";
import { summaryOf, type VocabularySource } from "./cloud-vocabulary.ts";
import { cloudTokenizer, type LoadedDrafter } from "./drafter.ts";
import { loadGrammars } from "./grammars.ts";

/**
 * What a device drafts with for one target, and whose words it reads. With one tokenizer on both sides that is what it
 * has loaded. Otherwise prompts and texts go through the target's, and what differs between the two is never drafted.
 */
export interface Pairing {
  readonly tokenizer: LlamaTokenizer;
  readonly drafter: Drafter;
  /** null: answers keep to no grammars here */
  readonly grammars: Grammars | null;
  close(): void;
}

/** Whether the target has the tokenizer of a pairing. A cloud that tells no identity is of release 0.1. */
export function fits({ tokenizer }: Pairing, { vocabulary, fingerprint }: TargetInfo): boolean {
  return vocabulary ? vocabulary.identity === tokenizer.identity : fingerprint === tokenizer.fingerprint;
}

/** What a cloud is asked for. */
type Source = VocabularySource & { readonly target: TargetInfo };

/**
 * For a target of another tokenizer.
 * @param withGrammars grammars are loaded over its vocabulary
 * @throws CloudError `tokenizer_mismatch` with the reason where the two are no pair; `bad_tokenizer`
 */
export async function pairWith(
  loaded: LoadedDrafter,
  source: Source,
  withGrammars: boolean,
): Promise<Pairing> {
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
      drafter: barred && barred.length > 0 ? new PairedDrafter(loaded.drafter, barred) : loaded.drafter,
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
