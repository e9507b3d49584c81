import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { facesOf } from "../../../src/api/faces.ts";
import { finished } from "../../support/processes.ts";

/** Runs the scripts of clients, in processes of their own: NAME.mjs in Node, NAME.py in the Python of its package. */

interface Client {
  readonly name: string;
  /** on npm, or on PyPI */
  readonly package: string;
  /** how to point it here: Markdown */
  readonly how: string;
  /** what else the column of flows says. Default: nothing */
  readonly note?: string;
  /** routes without which flows whose names begin so cannot run. Default: none */
  readonly needs?: Readonly<Record<string, string>>;
}

export interface ClientScript {
  readonly file: string;
  readonly client: Client;
  readonly flows: readonly string[];
}

/** Where the endpoints are. */
export interface Place {
  /** of the bundled pair, without /v1 */
  readonly url: string;
  readonly key: string;
  /** of the model that says what it is told to */
  readonly scriptedUrl: string;
}

interface Installed {
  readonly npm: string;
  readonly python: Readonly<Record<string, string>>;
}

const SOURCE = "test/clients";
const MOST_MS = 240_000;

function installed(): Installed {
  const given = process.env.PICOSPEC_TEST_CLIENTS;
  if (given === undefined) throw new Error("the clients are installed by npm run test:clients");
  return JSON.parse(given) as Installed;
}

/** Nothing is sent but to the loopback: what clients tell their makers is off, and a proxy that is none. */
function environment(home: string): NodeJS.ProcessEnv {
  const { PATH, LANG } = process.env;
  const nowhere = "http://127.0.0.1:9";
  return {
    ...{ PATH, LANG, HOME: home, XDG_CONFIG_HOME: join(home, ".config"), XDG_DATA_HOME: join(home, ".data") },
    ...{ HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere, https_proxy: nowhere, http_proxy: nowhere },
    ...{ NO_PROXY: "127.0.0.1,localhost", no_proxy: "127.0.0.1,localhost" },
    ...{
      DO_NOT_TRACK: "1",
      DISABLE_TELEMETRY: "1",
      LITELLM_TELEMETRY: "False",
      LANGCHAIN_TRACING_V2: "false",
    },
    ...{ OPENAI_AGENTS_DISABLE_TRACING: "1", AI_SDK_TELEMETRY_DISABLED: "1", PYTHONUNBUFFERED: "1" },
    ...{ LITELLM_LOCAL_MODEL_COST_MAP: "True", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
  };
}

async function run(file: string, given: string): Promise<readonly Record<string, unknown>[]> {
  const { npm, python } = installed();
  const scripts = join(npm, "clients");
  const js = file.endsWith(".mjs");
  const source = js ? "" : readFileSync(join(SOURCE, file), "utf8");
  const program = js ? process.execPath : python[/^PACKAGE = "(.*)"$/m.exec(source)?.[1] ?? ""]!;
  const runner = join(scripts, "support", js ? "run.mjs" : "flows.py");
  const args = [runner, file.replace(/\.(?:mjs|py)$/, ""), given];
  const home = mkdtempSync(join(tmpdir(), "picospec-client-"));
  try {
    const child = spawn(program, args, {
      ...{ cwd: home, env: environment(home), timeout: MOST_MS, stdio: ["ignore", "pipe", "pipe"] },
    });
    const { status, stdout, stderr } = await finished(child);
    const lines = stdout.split("\n").filter((line) => /^\{"(?:flow|client)"/.test(line));
    if (lines.length === 0) throw new Error(`${file} ended with ${status}: ${stderr.slice(-2000)}`);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  } finally {
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Paths that the endpoint has. */
function routes(): ReadonlySet<string> {
  // Routes are known before anything is asked.
  const nothing = { nowText: () => "", nowSeconds: () => 0, freshId: () => "" };
  return new Set(
    facesOf(nothing as unknown as Parameters<typeof facesOf>[0]).flatMap((face) =>
      face.routes.map(({ path }) => path),
    ),
  );
}

/** All clients there are, in the order of their names. */
export async function listClients(): Promise<readonly ClientScript[]> {
  const files = readdirSync(SOURCE).filter((file) => /\.(?:mjs|py)$/.test(file));
  const there = routes();
  const listed = await Promise.all(
    files.map(async (file) => {
      const [told] = await run(file, "list");
      const { client, flows } = told as { client: Client | null; flows: readonly string[] };
      if (client === null) return [];
      const lacking = Object.entries(client.needs ?? {}).filter(([, path]) => !there.has(path));
      const able = flows.filter((flow) => !lacking.some(([begin]) => flow.startsWith(begin)));
      return [{ file, client, flows: able }];
    }),
  );
  return listed
    .flat()
    .filter(({ flows, client }) => flows.length > 0 || client.note !== undefined)
    .sort((a, b) => a.client.name.localeCompare(b.client.name, "en"));
}

/** @returns of each flow what went wrong; null: nothing */
export async function runClient({ file }: ClientScript, place: Place): Promise<Map<string, string | null>> {
  const told = await run(file, JSON.stringify(place));
  return new Map(told.map(({ flow, error }) => [String(flow), error === null ? null : String(error)]));
}

/** Markdown. */
export function clientTable(clients: readonly ClientScript[]): string {
  const { npm, pip } = JSON.parse(readFileSync(join(SOURCE, "versions.json"), "utf8")) as {
    readonly npm: Record<string, string>;
    readonly pip: Record<string, string>;
  };
  const rows = clients.map(({ file, client, flows }) => {
    const listed = file.endsWith(".py") ? pip : npm;
    const tried = [...flows, ...(client.note === undefined ? [] : [client.note])].join(", ");
    return `| ${client.name} | \`${client.package}\` ${listed[client.package]} | ${client.how} | ${tried} |`;
  });
  return ["| client | version | how to point it here | tried |", "|---|---|---|---|", ...rows].join("\n");
}
