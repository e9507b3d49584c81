// Writes docs/config.schema.json: the JSON Schema of `--config` files, out of the options of the built commands.
import { writeFileSync } from "node:fs";
import { configSchema } from "../dist/src/cli/config.js";
import { commands } from "../dist/src/cli/main.js";

writeFileSync("docs/config.schema.json", `${JSON.stringify(configSchema(commands()), null, 2)}\n`);
