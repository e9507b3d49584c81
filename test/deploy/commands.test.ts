import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { commands } from "../../src/cli/main.ts";
import { optionOf, problems } from "../support/command-lines.ts";
import {
  dockerArgument,
  dockerStages,
  environmentFile,
  execStart,
  filesIn,
  systemdUnit,
  yamlDocuments,
} from "../support/deployment.ts";

/** Command lines of deploy/: each option is one that there is, with a value that it takes, and the files agree. */

const DOCKERFILE = "deploy/docker/Dockerfile";
const COMPOSE = "deploy/docker/compose.yaml";
const DEPLOYMENT = "deploy/kubernetes/deployment.yaml";

// biome-ignore lint/suspicious/noExplicitAny: documents, which other tests hold against their schemas
type Loose = any;

const compose = yamlDocuments(COMPOSE)[0] as Loose;
const deployment = yamlDocuments(DEPLOYMENT)[0] as Loose;
const pod = deployment.spec.template.spec;
const [container] = pod.containers;
const image = dockerStages(DOCKERFILE).at(-1)!;

const service = (name: string) => {
  const unit = systemdUnit(`deploy/systemd/picospec-${name}.service`);
  return execStart(unit, environmentFile(`deploy/systemd/${name}.env`)).slice(1);
};

/** Arguments after `picospec`, by where they are from. */
const LINES: Readonly<Record<string, string[]>> = {
  Dockerfile: JSON.parse(dockerArgument(image, "CMD")),
  "cloud-1": compose.services["cloud-1"].command,
  "cloud-2": compose.services["cloud-2"].command,
  Deployment: container.args,
  "picospec-cloud.service": service("cloud"),
  "picospec-edge.service": service("edge"),
};

describe.each(Object.entries(LINES))("the command line of %s", (_, line) => {
  it("is one that PicoSpec takes", () => {
    expect(problems(line)).toEqual([]);
  });
});

it("control: an option or a value that there is not is found", () => {
  expect(problems(["cloud", "--model", "x", "--metrix", "1"])).toEqual([expect.stringMatching(/--metrix/)]);
  expect(problems(["cloud", "--model", "x", "--port", "http"])).toEqual([
    expect.stringMatching(/whole number/),
  ]);
  expect(problems(["cloud", "--engine", "other"])).toEqual([expect.stringMatching(/--engine/)]);
});

it("variables of the units' files are in --help, or in the unit", () => {
  const known = commands().flatMap(({ options }) => options.flatMap(({ envVar }) => envVar ?? []));
  for (const name of ["cloud", "edge"]) {
    const unit = readFileSync(`deploy/systemd/picospec-${name}.service`, "utf8");
    const used = [...unit.matchAll(/\$\{?([A-Z_]+)/g)].map(([, variable]) => variable);
    for (const variable of Object.keys(environmentFile(`deploy/systemd/${name}.env`))) {
      expect([...known, ...used], `${name}.env`).toContain(variable);
    }
  }
});

describe("ports", () => {
  const clouds = Object.entries(LINES).filter(([, [command]]) => command === "cloud");

  it.each(clouds)("of %s are those of the others", (_, line) => {
    expect([optionOf(line, "--port"), optionOf(line, "--metrics-port")]).toEqual(["4747", "9464"]);
  });

  it("are those that proxies, probes, monitors and the image speak of", () => {
    const ports = container.ports.map(({ name, containerPort }: Loose) => [name, containerPort]);
    expect(ports).toEqual([
      ["picospec", 4747],
      ["metrics", 9464],
    ]);
    expect(dockerArgument(image, "EXPOSE")).toBe("4747 9464");
    expect(dockerArgument(image, "HEALTHCHECK")).toContain(":9464/healthz");
    expect(compose.services["cloud-1"].healthcheck.test.join(" ")).toContain(":9464/readyz");
    const [prometheus] = yamlDocuments("deploy/prometheus/prometheus.yaml") as Loose[];
    expect(prometheus.scrape_configs[0].static_configs[0].targets).toEqual(["cloud-1:9464", "cloud-2:9464"]);
    for (const path of ["deploy/nginx/picospec.conf", "deploy/haproxy/haproxy.cfg"]) {
      const servers = [...readFileSync(path, "utf8").matchAll(/^\s*server (.*)cloud-(\d):(\d+)/gm)];
      expect(servers.map(([, , number, port]) => `${number}:${port}`)).toEqual(["1:4747", "2:4747"]);
    }
    expect(readFileSync("deploy/haproxy/haproxy.cfg", "utf8")).toMatch(/check port 9464/);
  });
});

describe("the time to drain", () => {
  const SECONDS = 25;
  const clouds = Object.entries(LINES).filter(([, [command]]) => command === "cloud");

  it.each(clouds)("is told by %s", (_, line) => {
    expect(Number(optionOf(line, "--drain-seconds"))).toBe(SECONDS);
  });

  it("is shorter than what ends a process that does not end", () => {
    const unit = systemdUnit("deploy/systemd/picospec-cloud.service");
    expect(Number(unit.get("Service.TimeoutStopSec")![0])).toBeGreaterThan(SECONDS + 5);
    expect(Number.parseInt(compose.services["cloud-1"].stop_grace_period, 10)).toBeGreaterThan(SECONDS + 5);
    const { command } = container.lifecycle.preStop.exec;
    expect(command[0]).toBe("sleep");
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(SECONDS + Number(command[1]) + 5);
  });

  it("begins with the signal that PicoSpec drains at", () => {
    expect(dockerArgument(image, "STOPSIGNAL")).toBe("SIGTERM");
    expect(compose.services["cloud-1"].stop_signal).toBe("SIGTERM");
    expect(systemdUnit("deploy/systemd/picospec-cloud.service").get("Service.KillSignal")).toEqual([
      "SIGTERM",
    ]);
  });
});

describe("paths", () => {
  it("of secrets and models are those that are mounted", () => {
    const { secrets, volumes, command } = compose.services["cloud-1"];
    expect(optionOf(command, "--keys")).toBe(`/run/secrets/${secrets[0]}`);
    expect(volumes[0]).toMatch(/:\/models:ro$/);
    const mounts = container.volumeMounts.map(({ mountPath }: Loose) => mountPath);
    expect(mounts).toContain(dirname(optionOf(container.args, "--keys")!));
    expect(mounts).toContain(dirname(optionOf(container.args, "--model")!));
    const names = pod.volumes.map(({ name }: Loose) => name).sort();
    expect(container.volumeMounts.map(({ name }: Loose) => name).sort()).toEqual(names);
  });

  it("of the checkout that compose mounts are there", () => {
    const mounted = Object.values(compose.services as Loose).flatMap((one: Loose) => one.volumes ?? []);
    const own = mounted
      .map((volume: string) => volume.split(":")[0]!)
      .filter((path) => path.startsWith("../"));
    expect(own.length).toBeGreaterThan(3);
    for (const path of own) expect(existsSync(join("deploy/docker", path)), path).toBe(true);
    const { context, dockerfile } = compose.services["cloud-1"].build;
    expect(normalize(join("deploy/docker", context, dockerfile))).toBe(DOCKERFILE);
    expect(existsSync(`${DOCKERFILE}.dockerignore`)).toBe(true);
  });

  it("of the README are there", () => {
    const readme = readFileSync("deploy/README.md", "utf8");
    const named = [...readme.matchAll(/`(deploy\/[\w./-]+)`/g)].map(([, path]) => path!);
    expect(named.length).toBeGreaterThan(5);
    for (const path of named) expect(existsSync(path), path).toBe(true);
    const folders = filesIn("deploy", "").map((path) => path.split("/").slice(0, -1));
    for (const [deploy, folder] of folders) if (folder) expect(readme).toContain(`${deploy}/${folder}`);
  });
});

it("every image of ours has the package's version", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  expect(compose.services["cloud-1"].image).toBe(`picospec:${version}`);
  expect(container.image).toBe(`registry.example.com/picospec:${version}`);
});
