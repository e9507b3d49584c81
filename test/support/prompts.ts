import { drawTask } from "../../lab/tasks/draw.ts";

/** Thirty prompts that the bundled models were not trained on, but whose like they know: ten of each kind. */
export const PROMPTS: readonly string[] = (["math", "code", "story"] as const).flatMap((family) =>
  Array.from({ length: 10 }, (_, number) => drawTask(family, "held-out", 77, number).prompt),
);

/** Numbers, other scripts and runs of blanks: pre-tokenizers disagree about these. */
export const AWKWARD_PROMPTS: readonly string[] = [
  "Hello, I have 1234567 apples",
  "  def f(x):\n\t\treturn  x**2",
  "Größe 3.14, 你好 world's you'll",
];
