import type { Face } from "./face.ts";
import { OpenAi, type OpenAiOptions } from "./openai/endpoint.ts";

/** What faces need. */
export type FacesOptions = OpenAiOptions;

/** All protocols that this endpoint speaks. The first is its own: errors of no protocol are told in its way. */
export function facesOf(options: FacesOptions): Face[] {
  return [new OpenAi(options)];
}
