import { EngineError } from "../engine.ts";
import type { LlamaContext } from "./context.ts";

/** What the check does with a context, which is empty before and after. */
export type Rewound = Pick<LlamaContext, "add" | "decode" | "row" | "truncate" | "clear" | "vocabularySize">;

/**
 * Whether a sequence that was taken back says what one says that was never further on. It is seen at the start for every
 * model with recurrent layers: whether a checkpoint has all of a state is up to llama.cpp's code for that architecture.
 * @throws EngineError `unsupported_model`
 */
export async function checkWayBack(context: Rewound, architecture: string): Promise<void> {
  const [first, second, third, stray] = [3, 5, 7, 11].map((part) =>
    Math.floor(context.vocabularySize / part),
  );
  await rowAfter(context, [first!, second!]);
  const straight = await rowAfter(context, [third!]);
  context.clear(0);
  await rowAfter(context, [first!]);
  await rowAfter(context, [second!, stray!, first!], 3);
  context.truncate(0, 2);
  const back = await rowAfter(context, [third!]);
  context.clear(0);
  if (straight.every((score, i) => score === back[i])) return;
  const message = `the state of a ${architecture} model is not what it was once it is put back; take another model`;
  throw new EngineError("unsupported_model", message);
}

async function rowAfter(context: Rewound, tokens: readonly number[], rows = 1): Promise<Float32Array> {
  const index = context.add(0, Int32Array.from(tokens), rows);
  await new Promise<void>((resolve, reject) =>
    context.decode((error) => (error ? reject(error) : resolve())),
  );
  return context.row(index + rows - 1).slice();
}
