import type { Edge } from "../../edge/edge.ts";
import { DEFAULT_SAMPLER } from "../../sampling/settings.ts";
import type { AnsweringModel } from "../answer-grammar.ts";
import { llamaNames } from "../llama-names.ts";

/**
 * Models as Ollama's API lists them. What an edge does not know of its target (size, family, quantization) is empty or 0:
 * there is no file of it here.
 */

/** The tag of a name that has none. */
const LATEST = ":latest";
/** Models are not unloaded: a time that clients can still write. */
const NEVER = "2318-01-01T00:00:00Z";

/** A name without the tag that goes without saying. */
export function untagged(name: string): string {
  return name.toLowerCase().endsWith(LATEST) ? name.slice(0, -LATEST.length) : name;
}

function tagged(name: string): string {
  return /:[^/]*$/.test(name) ? name : `${name}${LATEST}`;
}

export interface ListedModel {
  readonly edge: Edge;
  readonly model: AnsweringModel;
  /** since when it is served, ISO 8601 */
  readonly since: string;
}

export function listed({ edge, since, model }: ListedModel): object {
  return { ...named(edge), modified_at: since, capabilities: capabilities(edge, model) };
}

export function running({ edge }: ListedModel): object {
  return { ...named(edge), expires_at: NEVER, size_vram: 0, context_length: edge.contextTokens };
}

export function shown({ edge, since, model }: ListedModel): object {
  const { modelName, contextTokens, chatTemplate } = edge;
  return {
    ...{ license: "", system: "", template: chatTemplate ?? "" },
    modelfile: `# Served by PicoSpec: there is no Modelfile.\nFROM ${modelName}\n`,
    parameters: parameters(),
    details: details(edge),
    model_info: {
      // Clients look for the context under the architecture's name, and that of the target is not known.
      "general.architecture": "picospec",
      "general.basename": modelName,
      "picospec.context_length": contextTokens,
      "picospec.vocab_size": edge.model?.vocabularySize ?? 0,
    },
    capabilities: capabilities(edge, model),
    modified_at: since,
  };
}

/** What an answer is drawn with where its request does not say: the model's own distribution. */
function parameters(): string {
  return llamaNames.map(([name, setting]) => `${name.padEnd(30)} ${DEFAULT_SAMPLER[setting]}`).join("\n");
}

function named(edge: Edge): object {
  const name = tagged(edge.modelName);
  return { name, model: name, size: 0, digest: "", details: details(edge) };
}

function details({ contextTokens }: Edge): object {
  return {
    ...{ parent_model: "", format: "", family: "", families: [] },
    ...{ parameter_size: "", quantization_level: "", context_length: contextTokens },
  };
}

function capabilities(edge: Edge, { format, thinks }: AnsweringModel): string[] {
  return [
    "completion",
    ...(format.callsTools ? ["tools"] : []),
    ...(thinks ? ["thinking"] : []),
    ...(edge.tokenizer.fillIn ? ["insert"] : []),
  ];
}
