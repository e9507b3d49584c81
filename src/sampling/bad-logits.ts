import { PicoSpecError } from "../util/errors.ts";

/** Of a row that nothing can be drawn from. */
export function badLogits(): PicoSpecError {
  return new PicoSpecError("model_output", "the model gave no finite logits; its file may be damaged");
}
