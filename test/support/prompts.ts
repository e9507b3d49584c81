import { drawTask } from "../../lab/tasks/draw.ts";

/** Thirty prompts that the bundled models were not trained on, but whose like they know: ten of each kind. */
export const PROMPTS: readonly string[] = (["math", "code", "story"] as const).flatMap((family) =>
  Array.from({ length: 10 }, (_, number) => drawTask(family, "held-out", 77, number).prompt),
);
