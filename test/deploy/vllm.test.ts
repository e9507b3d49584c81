import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { optionOf, problems } from "../support/command-lines.ts";
import { fits } from "../support/compose-schema.ts";
import {
  dockerArgument,
  dockerStages,
  environmentFile,
  execStart,
  filesIn,
  systemdUnit,
  yamlDocuments,
} from "../support/deployment.ts";
import { wrongFields, wrongValues } from "../support/manifests.ts";
import { BIN } from "../support/processes.ts";

/** examples/vllm: a vLLM, gateways before it and nginx before them, as far as it can be checked without a container. */

// biome-ignore lint/suspicious/noExplicitAny: documents are unknown until their schema says what they are
type Loose = any;

const FOLDER = "examples/vllm";
const [compose] = yamlDocuments(`${FOLDER}/docker/compose.yaml`) as Loose[];
const manifests = filesIn(`${FOLDER}/kubernetes`, ".yaml").flatMap((path) => yamlDocuments(path) as Loose[]);
const ofKind = (kind: string) => manifests.find((manifest) => manifest.kind === kind);
const pod = ofKind("Deployment").spec.template.spec;
const [gateway] = pod.containers;
const [sidecar] = pod.initContainers;
const unit = (name: string) => systemdUnit(`${FOLDER}/systemd/picospec-${name}.service`);
const started = (name: string) =>
  execStart(unit(name), environmentFile(`${FOLDER}/systemd/${name}.env`)).slice(1);

const GATEWAYS: Record<string, string[]> = {
  compose: compose.services["cloud-1"].command,
  Deployment: gateway.args,
  "picospec-gateway.service": started("gateway"),
};
/** what follows `vllm serve` */
const SERVERS: Record<string, string[]> = {
  compose: compose.services.vllm.command,
  Deployment: sidecar.args,
  "picospec-vllm.service": started("vllm").slice(1),
};

describe.each(Object.entries(GATEWAYS))("the gateway of %s", (name, line) => {
  it("has a command line that PicoSpec takes, and drains as the clouds of deploy/ do", () => {
    expect(problems(line)).toEqual([]);
    const options = ["--engine", "--port", "--metrics-port", "--drain-seconds"];
    expect(options.map((option) => optionOf(line, option))).toEqual(["vllm", "4747", "9464", "25"]);
  });

  it("asks the vLLM beside it, at its port and mailbox, for no more than it runs at a time", () => {
    const server = SERVERS[name === "picospec-gateway.service" ? "picospec-vllm.service" : name]!;
    expect(new URL(optionOf(line, "--url")!).port).toBe(optionOf(server, "--port"));
    const gateways = name === "compose" ? 2 : 1;
    expect(Number(optionOf(line, "--runs")) * gateways).toBe(Number(optionOf(server, "--max-num-seqs")));
    const plugin = optionOf(server, "--speculative-config")!.replaceAll("'", "");
    expect(JSON.parse(plugin)).toMatchObject({
      method: "custom_class",
      model: "picospec_vllm.Proposer",
    });
    expect(server).toContain("--enable-scale-out");
  });
});

it("mailboxes are where the plugin listens, of one user, and with one secret", () => {
  const { vllm, "cloud-1": cloud, "cloud-2": other } = compose.services;
  expect(optionOf(cloud.command, "--mailbox")).toBe(vllm.environment.PICOSPEC_MAILBOX);
  expect(optionOf(cloud.command, "--mailbox-secret-file")).toBe(vllm.environment.PICOSPEC_SECRET_FILE);
  expect(other.command).toEqual(cloud.command);
  for (const service of [vllm, cloud]) expect(service.volumes).toContain("mailbox:/run/picospec");
  expect(compose.volumes.mailbox.driver_opts.o).toContain("uid=1000,");
  const [image] = dockerStages(`${FOLDER}/docker/Dockerfile`);
  expect(dockerArgument(image!, "USER")).toBe("1000:1000");

  const variables = Object.fromEntries(sidecar.env.map(({ name, value }: Loose) => [name, value]));
  expect(optionOf(gateway.args, "--mailbox")).toBe(variables.PICOSPEC_MAILBOX);
  expect(optionOf(gateway.args, "--mailbox-secret-file")).toBe(variables.PICOSPEC_SECRET_FILE);
  expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });

  for (const user of ["Service.User", "Service.LoadCredential"]) {
    expect(unit("gateway").get(user)).toEqual(unit("vllm").get(user));
  }
  expect(unit("vllm").get("Service.Environment")).toContain("PICOSPEC_MAILBOX=unix:%t/picospec-vllm/mailbox");
  expect(optionOf(started("gateway"), "--mailbox")).toBe("unix:/run/picospec-vllm/mailbox");
});

describe("compose.yaml", () => {
  it("fits the Compose Specification; the control does not", () => {
    expect(fits(compose) ? [] : fits.errors).toEqual([]);
    const broken = structuredClone(compose);
    broken.services.vllm.gpu = "all";
    expect(fits(broken)).toBe(false);
  });

  it("names services, networks, volumes, secrets and files that there are", () => {
    for (const [name, service] of Object.entries<Loose>(compose.services)) {
      for (const secret of service.secrets ?? []) expect(compose.secrets, name).toHaveProperty(secret);
      for (const network of service.networks) expect(compose.networks, name).toHaveProperty(network);
      for (const other of Object.keys(service.depends_on ?? {})) {
        expect(compose.services).toHaveProperty(other);
      }
      for (const source of (service.volumes ?? []).map((volume: string) => volume.split(":")[0])) {
        if (source.startsWith("../")) expect(existsSync(join(FOLDER, "docker", source)), source).toBe(true);
        else if (!source.startsWith("$")) expect(compose.volumes, name).toHaveProperty(source);
      }
      if (!service.build) continue;
      const { context, dockerfile } = service.build;
      expect(existsSync(join(FOLDER, "docker", context, dockerfile)), name).toBe(true);
    }
  });

  it("gives the network outside nginx alone, and the engine no way out", () => {
    const open = Object.entries<Loose>(compose.services).filter(([, { ports }]) => ports);
    expect(open.map(([name]) => name)).toEqual(["nginx"]);
    expect(compose.networks.engine.internal).toBe(true);
    const inside = ["vllm", "cloud-1", "cloud-2"].map((name) => compose.services[name].networks);
    expect(inside.flat()).toEqual(["engine", "engine", "engine"]);
  });
});

describe("the manifests", () => {
  it("have values and fields that the API takes; the control has not", () => {
    expect(manifests.map(wrongValues)).toEqual(manifests.map(() => null));
    expect(wrongFields(manifests)).toEqual([]);
    const broken = structuredClone(ofKind("Deployment"));
    broken.spec.template.spec.initContainers[0].restartPolici = "Always";
    expect(wrongFields([broken])).toEqual([expect.stringMatching(/restartPolici/)]);
  });

  it("start vLLM before the gateway and end it after it, within the pod's time", () => {
    expect(sidecar.restartPolicy).toBe("Always");
    expect(sidecar.startupProbe.exec.command).toEqual(sidecar.livenessProbe.exec.command);
    const drainSeconds = Number(optionOf(gateway.args, "--drain-seconds"));
    const waitSeconds = Number(gateway.lifecycle.preStop.exec.command[1]);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(drainSeconds + waitSeconds + 30);
  });

  it("name what there is of each other", () => {
    const { metadata } = ofKind("Deployment").spec.template;
    const service = ofKind("Service");
    expect(service.spec.selector).toEqual(metadata.labels);
    const ports = gateway.ports.map(({ name }: Loose) => name);
    for (const { targetPort } of service.spec.ports) expect(ports).toContain(targetPort);
    const { backend } = ofKind("Ingress").spec.rules[0].http.paths[0];
    expect(backend.service).toEqual({ name: service.metadata.name, port: { name: "picospec" } });
    const volumes = pod.volumes.map(({ name }: Loose) => name).sort();
    const mounts = [gateway, sidecar].flatMap(({ volumeMounts }) =>
      volumeMounts.map(({ name }: Loose) => name),
    );
    expect([...new Set(mounts)].sort()).toEqual(volumes);
    for (const { securityContext } of [gateway, sidecar]) {
      expect(securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ["ALL"] },
      });
    }
  });
});

describe.each(["vllm", "gateway"])("picospec-%s.service", (name) => {
  const folder = mkdtempSync(join(tmpdir(), "picospec-vllm-units-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const analyze = (...args: string[]) => promisify(execFile)("systemd-analyze", args);

  /** With the paths of this checkout. */
  function installed(change: (text: string) => string = (text) => text): string {
    const text = readFileSync(`${FOLDER}/systemd/picospec-${name}.service`, "utf8")
      .replace("=/usr/local/bin/picospec ", `=${BIN} `)
      .replace("=/opt/vllm/bin/vllm ", `=${BIN} `)
      // What the other unit is called, which is not installed here.
      .replaceAll(/^Wants=picospec-vllm.service\n/gm, "")
      .replace(`/etc/picospec/${name}.env`, resolve(`${FOLDER}/systemd/${name}.env`));
    const path = join(folder, `picospec-${name}.service`);
    writeFileSync(path, change(text));
    return path;
  }

  const complaints = (path: string) =>
    analyze("verify", path).then(
      ({ stderr }) => stderr,
      ({ stderr }: { stderr: string }) => stderr,
    );

  it("is a unit without a complaint of systemd; the control is not", async () => {
    expect(await complaints(installed())).toBe("");
    const misspelt = installed((text) => text.replace("ProtectHome=", "ProtectHom="));
    expect(await complaints(misspelt)).toMatch(/Unknown key.*ProtectHom/);
  });

  it("is confined", async () => {
    // Of 100, the worst; vLLM's has devices, for GPUs.
    const threshold = `--threshold=${name === "vllm" ? 35 : 20}`;
    await expect(analyze("security", "--offline=true", threshold, installed())).resolves.toBeDefined();
  });
});

it("nothing has a key or a secret in it, and images have the version of what they hold", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  const own = [compose.services["cloud-1"].image, gateway.image];
  for (const image of own) expect(image).toMatch(new RegExp(`(^|/)picospec:${version}$`));
  const [, plugin] = /^version = "(.*)"$/m.exec(readFileSync("engines/vllm/pyproject.toml", "utf8"))!;
  for (const image of [compose.services.vllm.image, sidecar.image]) {
    expect(image).toMatch(new RegExp(`(^|/)picospec-vllm:${plugin}$`));
  }
  for (const path of filesIn(FOLDER, "")) {
    expect(readFileSync(path, "utf8"), path).not.toMatch(/sha256:[0-9a-f]{8}|[0-9a-f]{32}/);
    expect(dirname(path)).toMatch(/^examples\/vllm/);
  }
});
