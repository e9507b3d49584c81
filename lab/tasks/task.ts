/** Tasks whose answers can be checked: what the bundled pair is trained on, and what `picospec eval` asks. */

export type TaskFamily = "math" | "code" | "story" | "data";

/** What makes an answer right. */
export type Check =
  | { readonly kind: "number"; readonly value: number }
  | {
      readonly kind: "function";
      /** null: whatever the model calls it */
      readonly name: string | null;
      readonly cases: readonly FunctionCase[];
    }
  | { readonly kind: "story"; readonly cast: readonly Character[]; readonly mentions: readonly string[] }
  | { readonly kind: "json"; readonly schema: JsonSchema; readonly value: unknown }
  | {
      readonly kind: "toolCall";
      readonly name: string;
      readonly schema: JsonSchema;
      readonly value: unknown;
    };

/** As much of JSON Schema as tasks use. */
export interface JsonSchema {
  readonly type: "object" | "string" | "integer" | "boolean";
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
}

/** A function that a model may call instead of an answer. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonSchema;
}

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
  /** that the model may call; the chat template shows them */
  readonly tools?: readonly Tool[];
  /** one right answer, as a model is to learn it */
  readonly answer: string;
  /** of a call: what the tool returns, and what a model says then */
  readonly afterCall?: { readonly result: string; readonly answer: string };
  readonly check: Check;
}
