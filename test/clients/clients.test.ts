import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HttpServer } from "../../src/api/server.ts";
import { DRAFTER, type RunningCloud, startCloud, startEdge } from "../support/processes.ts";
import { type ClientScript, clientTable, listClients, runClient } from "./support/harness.ts";
import { startScripted } from "./support/scripted-server.ts";

/** Clients as they are on npm and PyPI, against the bundled pair, and against a model that says what it is told to. */

const KEY = "key-of-the-clients";
const README = "README.md";
const REWRITE = "npm run test:clients -- --write";

const clients = await listClients();
const servers: { cloud?: RunningCloud; edge?: RunningCloud; scripted?: HttpServer } = {};

beforeAll(async () => {
  servers.scripted = await startScripted(KEY, ["http://localhost:*"]);
  servers.cloud = await startCloud();
  servers.edge = await startEdge(["--cloud", servers.cloud.url, "--model", DRAFTER, "--api-key", KEY]);
});

afterAll(async () => {
  await servers.edge?.stop();
  await servers.cloud?.stop();
  await servers.scripted?.close();
});

/** A client runs once, with all of its flows. */
const runs = new Map<ClientScript, Promise<Map<string, string | null>>>();
function outcomes(script: ClientScript): Promise<Map<string, string | null>> {
  const url = servers.edge!.url.replace(/\/v1$/, "");
  const run = runs.get(script) ?? runClient(script, { url, key: KEY, scriptedUrl: servers.scripted!.url });
  runs.set(script, run);
  return run;
}

describe.each(clients.map((script) => [script.client.name, script] as const))("%s", (_, script) => {
  it.each(script.flows)("%s", async (flow) => {
    expect((await outcomes(script)).get(flow)).toBe(null);
  });
});

describe("the README", () => {
  it(`has the table of these clients; otherwise: ${REWRITE}`, () => {
    const text = readFileSync(README, "utf8");
    const table = `<!-- clients: ${REWRITE} -->\n\n${clientTable(clients)}\n\n<!-- end of clients -->`;
    const fresh = text.replace(/<!-- clients: .*?<!-- end of clients -->/s, () => table);
    if (process.env.PICOSPEC_TEST_CLIENTS_WRITE) writeFileSync(README, fresh);
    else expect(fresh, `the table is another one by now: ${REWRITE}`).toBe(text);
    expect(fresh).toContain(table);
  });
});
