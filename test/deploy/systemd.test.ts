import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { environmentFile, execStart, systemdUnit } from "../support/deployment.ts";
import { freePort } from "../support/free-port.ts";
import { BIN, finished, picospec, TARGET } from "../support/processes.ts";

/** The units, as systemd itself reads them: `systemd-analyze` needs no running systemd. */

/** Of 10, the worst; what `systemd-analyze security` finds in the units is 1.5. */
const MOST_EXPOSURE = 2;

const folder = mkdtempSync(join(tmpdir(), "picospec-systemd-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const analyze = async (...args: string[]) => promisify(execFile)("systemd-analyze", args);

/** The unit with the paths of this checkout. */
function installed(name: string, change: (text: string) => string = (text) => text): string {
  const text = readFileSync(`deploy/systemd/picospec-${name}.service`, "utf8")
    .replace("=/usr/local/bin/picospec ", `=${BIN} `)
    .replace(`/etc/picospec/${name}.env`, resolve(`deploy/systemd/${name}.env`));
  const path = join(folder, `picospec-${name}.service`);
  writeFileSync(path, change(text));
  return path;
}

/** What is wrong with a unit; "": nothing */
async function verify(path: string): Promise<string> {
  return analyze("verify", path).then(
    ({ stderr }) => stderr,
    ({ stderr }: { stderr: string }) => stderr,
  );
}

describe.each(["cloud", "edge"])("picospec-%s.service", (name) => {
  it("is a unit without a complaint of systemd", async () => {
    expect(await verify(installed(name))).toBe("");
  });

  it("control: a directive that there is not, and a program that there is not, are found", async () => {
    const misspelt = installed(name, (text) => text.replace("ProtectHome=", "ProtectHom="));
    expect(await verify(misspelt)).toMatch(/Unknown key.*ProtectHom/);
    const elsewhere = installed(name, (text) => text.replace(BIN, "/nowhere/picospec"));
    expect(await verify(elsewhere)).toMatch(/\/nowhere\/picospec is not executable/);
  });

  it("is confined, and the control, without what confines it, is not", async () => {
    const threshold = `--threshold=${MOST_EXPOSURE * 10}`;
    const security = (path: string) => analyze("security", "--offline=true", threshold, path);
    await expect(security(installed(name))).resolves.toBeDefined();
    const open = installed(name, (text) => text.replaceAll(/^(?:Protect|Restrict|System|Capab).*$/gm, ""));
    await expect(security(open)).rejects.toThrow();
  });

  it("may run what is compiled at run time, has bounds, and is a user of its own", () => {
    const unit = systemdUnit(`deploy/systemd/picospec-${name}.service`);
    expect(unit.has("Service.MemoryDenyWriteExecute")).toBe(false);
    for (const bound of ["MemoryMax", "TasksMax", "LimitNOFILE", "TimeoutStopSec"]) {
      expect(unit.get(`Service.${bound}`), bound).toHaveLength(1);
    }
    expect(unit.get("Service.DynamicUser")).toEqual(["yes"]);
  });
});

it("what the cloud's unit runs listens, answers its probes, and ends at its signal with 0", async () => {
  const [port, metrics, keys] = [await freePort(), await freePort(), join(folder, "keys.txt")];
  await picospec(["keys", "add", "alice", "--keys", keys]);
  const variables = environmentFile("deploy/systemd/cloud.env");
  const unit = systemdUnit("deploy/systemd/picospec-cloud.service");
  const [program, ...args] = execStart(unit, { ...variables, MODEL: TARGET, PORT: String(port) })
    .map((word) => word.replace("/usr/local/bin/picospec", BIN))
    .map((word) => word.replace("/var/lib/picospec-cloud/keys.txt", keys).replace("9464", String(metrics)));
  const child = spawn(program!, args);
  const ended = finished(child);
  const listening = new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => chunk.toString().includes("listening on ") && resolve());
  });
  await Promise.race([listening, ended]);
  const ready = await fetch(`http://127.0.0.1:${metrics}/readyz`);
  child.kill(unit.get("Service.KillSignal")![0] as NodeJS.Signals);
  const { status, stdout, stderr } = await ended;
  expect(ready.status).toBe(200);
  expect(stdout).toContain(`listening on ws://127.0.0.1:${port}`);
  expect(status, stderr).toBe(0);
});
