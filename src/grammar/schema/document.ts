import { pointer, SchemaError } from "./error.ts";
import { isObject, type JsonObject, own } from "./json.ts";
import type { Draft } from "./keywords.ts";

/** A schema and where it stands. */
export interface Place {
  readonly schema: unknown;
  /** JSON pointer from the document's root */
  readonly path: string;
  /** what `#` stands for here: the schema around it that has an `$id`, or the root */
  readonly resource: Resource;
}

interface Resource {
  readonly schema: unknown;
  readonly path: string;
}

/** Words whose values hold no schemas, whatever they look like. */
const VALUES = ["const", "enum", "default", "examples"];
const MOST_DEPTH = 100;

export function rootOf(schema: unknown): Place {
  return { schema, path: "#", resource: { schema, path: "#" } };
}

/** A schema's own part: `child(place, ["items"])`. */
export function child(place: Place, keys: readonly (string | number)[], draft: Draft): Place {
  let schema = place.schema;
  let path = place.path;
  for (const key of keys) {
    schema = (schema as JsonObject)[key];
    path = pointer(path, key);
  }
  return at(schema, path, place.resource, draft);
}

function at(schema: unknown, path: string, resource: Resource, draft: Draft): Place {
  return { schema, path, resource: idOf(schema, draft) === null ? resource : { schema, path } };
}

function idOf(schema: unknown, draft: Draft): string | null {
  if (!isObject(schema) || (draft <= 7 && "$ref" in schema)) return null;
  const id = own(schema, draft === 4 ? "id" : "$id");
  return typeof id === "string" && !id.startsWith("#") ? id : null;
}

/** @throws SchemaError for a reference out of the document, or to what is not in it */
export function resolve(place: Place, reference: unknown, draft: Draft): Place {
  const refuse = (why: string) => new SchemaError("$ref", place.path, why);
  if (typeof reference !== "string") throw refuse("it has to be a string");
  const { resource } = place;
  const id = idOf(resource.schema, draft)?.replace(/#$/, "");
  const inside = id !== undefined && /^[a-z][a-z0-9+.-]*:/i.test(id) && reference.split("#")[0] === id;
  const [before, fragment = ""] = inside ? ["", reference.slice(id.length + 1)] : reference.split("#", 2);
  if (before !== "") throw refuse(`${JSON.stringify(reference)} is outside of the document`);
  let name: string;
  try {
    name = decodeURIComponent(fragment);
  } catch {
    throw refuse(`${JSON.stringify(reference)} is badly encoded`);
  }
  const found =
    name === "" || name.startsWith("/") ? follow(resource, name, draft) : anchored(resource, name, draft);
  if (!found) throw refuse(`there is no ${JSON.stringify(reference)} in the document`);
  return found;
}

function follow(resource: Resource, fragment: string, draft: Draft): Place | null {
  let place: Place = { ...resource, resource };
  for (const part of fragment.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    const { schema, path } = place;
    const isIndex = Array.isArray(schema) && /^(0|[1-9][0-9]*)$/.test(key);
    if (!isIndex && !isObject(schema)) return null;
    if (!Object.hasOwn(schema as object, key)) return null;
    place = at((schema as JsonObject)[key], pointer(path, key), place.resource, draft);
  }
  return place;
}

/** The one schema of a resource that has the anchor. */
function anchored(resource: Resource, name: string, draft: Draft): Place | null {
  const found: Place[] = [];
  const look = (schema: unknown, path: string, depth: number): void => {
    if (typeof schema !== "object" || schema === null || depth > MOST_DEPTH) return;
    if (schema !== resource.schema && idOf(schema, draft) !== null) return;
    if (isObject(schema) && hasAnchor(schema, name, draft)) found.push({ schema, path, resource });
    for (const [key, value] of Object.entries(schema)) {
      if (!VALUES.includes(key)) look(value, pointer(path, key), depth + 1);
    }
  };
  look(resource.schema, resource.path, 0);
  return found.length === 1 ? found[0]! : null;
}

function hasAnchor(schema: JsonObject, name: string, draft: Draft): boolean {
  if (draft < 2019) return own(schema, draft === 4 ? "id" : "$id") === `#${name}`;
  return own(schema, "$anchor") === name || (draft === 2020 && own(schema, "$dynamicAnchor") === name);
}
