import type { CallableTool } from "../../conversation.ts";
import { HttpError } from "../../errors.ts";
import { plainTool } from "../chat.ts";
import type { NamedTool, ResponseTool } from "./tool-schema.ts";

/** Tools of a response as the model is shown them, and what a call of one is called for the client. */

/** What a client calls a tool. */
export interface ToolName {
  /** custom: its input is text, and no JSON */
  readonly kind: "function" | "custom";
  readonly name: string;
  readonly namespace: string | null;
}

export interface ResponseTools {
  readonly callable: readonly CallableTool[];
  /** by the name that the model is shown */
  readonly names: ReadonlyMap<string, ToolName>;
  /** what is not kept of them, in words for the client */
  readonly dropped: readonly string[];
}

/** The field of its arguments that is a custom tool's input. */
const INPUT = "input";

/** A name without its namespace may be another tool's. */
export function shownName(name: string, namespace: string | null | undefined): string {
  return namespace ? `${namespace}__${name}` : name;
}

/** @throws HttpError 400 for two tools with one name */
export function toolsOf(tools: readonly ResponseTool[]): ResponseTools {
  const callable: CallableTool[] = [];
  const names = new Map<string, ToolName>();
  const dropped: string[] = [];
  const add = (tool: NamedTool, path: string, namespace: string | null) => {
    const name = shownName(tool.name, namespace);
    if (names.has(name)) {
      const message = `${path}.name: there is another tool of the name ${JSON.stringify(name)}`;
      throw new HttpError(400, "invalid_value", message, `${path}.name`);
    }
    names.set(name, { kind: tool.type, name: tool.name, namespace });
    callable.push(
      tool.type === "custom"
        ? asFunction(tool, name, path)
        : plainTool({ ...tool, name }, `${path}.parameters`),
    );
    if (tool.type === "custom" && tool.format?.type === "grammar") dropped.push(`format at ${path}`);
  };
  for (const [number, tool] of tools.entries()) {
    const path = `tools.${number}`;
    if (tool.type === "namespace") {
      for (const [inner, one] of tool.tools.entries()) add(one, `${path}.tools.${inner}`, tool.name);
    } else if (tool.type === "function" || tool.type === "custom") add(tool, path, null);
    else dropped.push(`${tool.type} at ${path}`);
  }
  return { callable, names, dropped };
}

/** Models call functions: a custom tool is one whose only argument is a text. */
function asFunction(tool: Extract<NamedTool, { type: "custom" }>, name: string, path: string): CallableTool {
  const { format, description } = tool;
  const grammar =
    format?.type === "grammar"
      ? `The input keeps to this ${format.syntax} grammar:\n${format.definition}`
      : "";
  const parameters = {
    type: "object",
    properties: { [INPUT]: { type: "string" } },
    required: [INPUT],
    additionalProperties: false,
  };
  const told = [description ?? "", grammar].filter((text) => text !== "").join("\n\n");
  return plainTool({ name, ...(told === "" ? {} : { description: told }), parameters }, path);
}

/** A custom tool's input as arguments of the function that the model is shown. */
export function inputArguments(input: string): string {
  return JSON.stringify({ [INPUT]: input });
}

/** The other way round. A model that does not keep to the schema still said something. */
export function argumentsInput(args: string): string {
  try {
    const input: unknown = JSON.parse(args)?.[INPUT];
    return typeof input === "string" ? input : args;
  } catch {
    return args;
  }
}
