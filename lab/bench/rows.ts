import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";
import { selectTop } from "../../src/sampling/select.ts";
import { softmaxTotal } from "../../src/sampling/softmax.ts";
import { type Timing, timeOf, timing } from "./measure.ts";

/** Row extraction: the K largest logits of a row and its normaliser. */

export interface RowTiming {
  readonly vocabularySize: number;
  readonly topK: number;
  readonly ms: Timing;
}

const VOCABULARIES = [2048, 151_936];
const TOP_K = 64;
const SAMPLES = 301;

/** A row that looks like a model's: a bell of small logits, and a few large ones. */
function syntheticRow(vocabularySize: number): Float32Array {
  const seed = toSeed(vocabularySize);
  const draw = (token: number, index: number) => uniform(seed, Purpose.draft, token, 0, index);
  return Float32Array.from({ length: vocabularySize }, (_, token) => {
    const bell = draw(token, 0) + draw(token, 1) + draw(token, 2) - 1.5;
    return 4 * bell + (draw(token, 3) < 0.0005 ? 10 * draw(token, 4) : 0);
  });
}

export function benchRows(): RowTiming[] {
  return VOCABULARIES.map((vocabularySize) => {
    const row = syntheticRow(vocabularySize);
    const extract = () => {
      const top = selectTop(row, TOP_K);
      softmaxTotal(row, row[top[0]!]!, 1);
    };
    for (let i = 0; i < 50; i++) extract();
    const samples = Array.from({ length: SAMPLES }, () => timeOf(extract));
    return { vocabularySize, topK: TOP_K, ms: timing(samples) };
  });
}
