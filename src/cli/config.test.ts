import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { Command, Option } from "commander";
import { afterAll, describe, expect, it } from "vitest";
import { applyConfig, configOption, configSchema } from "./config.ts";
import { commands } from "./main.ts";
import { whole } from "./options.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-config-"));
const path = join(folder, "config.json");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const several = (value: string, before: readonly string[]) => [...before, value];

/** What a command that has an option of each kind ends up with. */
function values(file: unknown, args: readonly string[] = [], name = "cloud"): Record<string, unknown> {
  writeFileSync(path, typeof file === "string" ? file : JSON.stringify(file));
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  const line = [name, "--config", path, ...args];
  let found: Record<string, unknown> = {};
  const command = new Command(name)
    .exitOverride()
    .addOption(new Option("--port <n>").argParser(whole(0, 100)).default(4))
    .addOption(new Option("--model <file>").makeOptionMandatory())
    .addOption(new Option("--tls-cert <file>").env("PICOSPEC_TEST_CERT"))
    .addOption(new Option("--gpu <choice>").choices(["auto", "off"]))
    .addOption(new Option("--allow <x>", "can be repeated").argParser(several).default([]))
    .addOption(new Option("--fast"))
    .addOption(configOption())
    .action((given) => {
      found = given;
    });
  program.addCommand(command).hook("preSubcommand", (_, sub) => applyConfig(sub, line));
  program.parse(line, { from: "user" });
  return found;
}

describe("a file of options", () => {
  it("sets each kind, mandatory ones too", () => {
    const cloud = { port: 7, model: "m.gguf", tlsCert: "c.pem", gpu: "off", allow: ["a", "b"], fast: true };
    expect(values({ $schema: "x", cloud, edge: { port: 1 } })).toMatchObject(cloud);
    expect(values({ cloud: { model: "m", port: "7", allow: "a", fast: false } })).toMatchObject({
      port: 7,
      allow: ["a"],
    });
  });

  it("gives way to the command line, as a whole where values are collected, and to the environment", () => {
    const cloud = { port: 7, model: "m", allow: ["a", "b"], tlsCert: "file" };
    expect(values({ cloud }, ["--port", "9", "--allow", "c", "--allow", "d"])).toMatchObject({
      port: 9,
      model: "m",
      allow: ["c", "d"],
    });
    process.env.PICOSPEC_TEST_CERT = "environment";
    try {
      expect(values({ cloud })).toMatchObject({ tlsCert: "environment" });
    } finally {
      delete process.env.PICOSPEC_TEST_CERT;
    }
  });

  it("names targets with their drafters, for an edge", () => {
    const models = [
      { cloud: "ws://a", model: "a.gguf" },
      { name: "b", cloud: ["ws://b", "ws://c"], drafter: "lookup" },
    ];
    expect(values({ edge: { model: "m", models } }, [], "edge")).toMatchObject({ models });
  });

  it.each<[unknown, RegExp]>([
    ["{", /config\.json: .*JSON/],
    [[], /config\.json: the file: /],
    [{ clud: {} }, /Unrecognized key.*clud/],
    [{ cloud: { ports: 7 } }, /cloud\.ports is no option of picospec cloud; is it port\?/],
    [{ cloud: { constructor: 7 } }, /cloud\.constructor is no option/],
    [{ cloud: { config: "x" } }, /cloud\.config is no option/],
    [{ cloud: { port: 101 } }, /cloud\.port: It must be a whole number from 0 to 100/],
    [{ cloud: { port: [7] } }, /cloud\.port is a string or a number/],
    [{ cloud: { port: null } }, /cloud\.port is a string or a number/],
    [{ cloud: { gpu: "on" } }, /cloud\.gpu: Allowed choices are auto, off/],
    [{ cloud: { fast: "yes" } }, /cloud\.fast is true or false/],
    [{ cloud: { allow: [["a"]] } }, /cloud\.allow is a string, a number, or an array of them/],
    [{ cloud: { models: [] } }, /cloud\.models is no option/],
  ])("says what is wrong in %j", (file, message) => {
    expect(() => values(file, ["--model", "m"])).toThrow(message);
  });

  it.each<[unknown, RegExp]>([
    [[], /edge\.models: Too small/],
    [[{}], /edge\.models\.0\.cloud: /],
    [[{ cloud: "ws://a", drafts: 1 }], /edge\.models\.0: Unrecognized key.*drafts/],
  ])("says what is wrong in the models %j", (models, message) => {
    expect(() => values({ edge: { model: "m", models } }, [], "edge")).toThrow(message);
  });

  it("is not read for a command without it, and has to be there", () => {
    applyConfig(new Command("run"), ["run", "--config", "/none"]);
    expect(() =>
      applyConfig(new Command("cloud").addOption(configOption()), ["cloud", "--config=/none"]),
    ).toThrow(/cannot read \/none \(ENOENT\); give a JSON file/);
  });
});

describe("docs/config.schema.json", () => {
  const schema = JSON.parse(readFileSync("docs/config.schema.json", "utf8"));

  it("is made of the commands' options (npm run config-schema)", () => {
    expect(schema).toEqual(JSON.parse(JSON.stringify(configSchema(commands()))));
  });

  it("takes what a command takes, and nothing else", () => {
    const check = new Ajv2020({ strict: false }).compile(schema);
    expect(
      check({ cloud: { model: "m", port: 7, allowOrigin: ["a"] }, edge: { models: [{ cloud: "ws://a" }] } }),
    ).toBe(true);
    for (const wrong of [
      { cloud: { prot: 1 } },
      { edge: { models: [{}] } },
      { cloud: { gpu: "on" } },
      { x: 1 },
    ]) {
      expect(check(wrong)).toBe(false);
    }
  });
});
