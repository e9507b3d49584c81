/** Tasks whose answers can be checked: what the bundled pair is trained on, and what `picospec eval` asks. */

export type TaskFamily = "math" | "code" | "story";

export interface Turn {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/** What makes an answer right. */
export type Check =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "function"; readonly name: string; readonly cases: readonly FunctionCase[] }
  | { readonly kind: "story"; readonly cast: readonly Character[]; readonly mentions: readonly string[] };

/** A call and its result, as JSON values. */
export interface FunctionCase {
  readonly args: readonly unknown[];
  readonly result: unknown;
}

export interface Character {
  readonly name: string;
  /** what it is, for example "fox" */
  readonly kind: string;
}

export interface Task {
  readonly family: TaskFamily;
  /** of the user */
  readonly prompt: string;
  /** one right answer, as a model is to learn it */
  readonly answer: string;
  readonly check: Check;
}
