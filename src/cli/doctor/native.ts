import { loadLibrary } from "../../engine/llama/library.ts";
import { LlamaModel } from "../../engine/llama/model.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";

/**
 * The program of a process of its own, in which llama.cpp may fail as hard as it likes: see native-process.ts.
 * Arguments: `library auto|off`, or `model whole|vocabulary FILE`. It sends one Outcome to its parent, and ends.
 */
async function outcome([what, how, file]: readonly string[]): Promise<Outcome<unknown>> {
  if (what === "library") {
    return outcomeOf(() => {
      const { build, version, usesGpu } = loadLibrary(how === "off" ? "off" : "auto");
      return { build, version, usesGpu };
    });
  }
  return outcomeOf(async () => {
    const model = await LlamaModel.load(file!, { gpu: "off", vocabularyOnly: how === "vocabulary" });
    model.close();
    return null;
  });
}

process.send?.(await outcome(process.argv.slice(2)), () => process.disconnect());
