import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fits } from "../support/compose-schema.ts";
import { filesIn, yamlDocuments } from "../support/deployment.ts";

// biome-ignore lint/suspicious/noExplicitAny: documents are unknown until their schema says what they are
type Loose = any;

const [compose] = yamlDocuments("deploy/docker/compose.yaml") as Loose[];

it.each(filesIn("deploy", ".yaml").concat(filesIn("deploy", ".yml")))("%s is YAML, one document", (path) => {
  expect(yamlDocuments(path)).toHaveLength(1);
});

describe("compose.yaml", () => {
  it("fits the Compose Specification", () => {
    expect(fits(compose) ? [] : fits.errors).toEqual([]);
  });

  it("control: a field that there is not, and a wrong value, are found", () => {
    const broken = (change: (copy: Loose) => void) => {
      const copy = structuredClone(compose);
      change(copy);
      return fits(copy);
    };
    const field = (name: string, value: unknown) =>
      broken((copy) => {
        copy.services.nginx[name] = value;
      });
    expect(field("port", ["443:443"])).toBe(false);
    expect(field("ports", "443:443")).toBe(false);
    expect(field("ports", ["443:443"])).toBe(true);
  });

  it("names secrets, volumes, networks and services that it has", () => {
    for (const [name, service] of Object.entries<Loose>(compose.services)) {
      for (const secret of service.secrets ?? []) expect(compose.secrets, name).toHaveProperty(secret);
      for (const network of service.networks) expect(compose.networks, name).toHaveProperty(network);
      for (const other of Object.keys(service.depends_on ?? {}))
        expect(compose.services).toHaveProperty(other);
      for (const volume of (service.volumes ?? []) as string[]) {
        const source = volume.split(":")[0]!;
        if (!/^[./$]/.test(source)) expect(compose.volumes, name).toHaveProperty(source);
      }
      for (const port of (service.ports ?? []) as string[]) {
        expect(port).toMatch(/^(?:127\.0\.0\.1:)?\d+:\d+$/);
      }
    }
  });

  it("gives the network outside one port, and the clouds no way out", () => {
    const open = Object.entries<Loose>(compose.services).filter(([, { ports = [] }]) =>
      ports.some((port: string) => !port.startsWith("127.0.0.1:")),
    );
    expect(open.map(([name]) => name)).toEqual(["nginx"]);
    expect(compose.networks.clouds.internal).toBe(true);
    for (const name of ["cloud-1", "cloud-2"]) {
      const { networks, read_only, cap_drop, security_opt } = compose.services[name];
      expect({ networks, read_only, cap_drop, security_opt }).toEqual({
        ...{ networks: ["clouds"], read_only: true, cap_drop: ["ALL"] },
        security_opt: ["no-new-privileges:true"],
      });
    }
  });

  it("pins every image to a version", () => {
    const images = Object.values<Loose>(compose.services).map(({ image }) => image as string);
    for (const image of images) expect(image).toMatch(/:v?\d+\.\d+/);
  });

  it("has a dashboard that the provisioned Prometheus serves", () => {
    const [sources] = yamlDocuments("deploy/grafana/provisioning/datasources/prometheus.yaml") as Loose[];
    const [provider] = yamlDocuments("deploy/grafana/provisioning/dashboards/picospec.yaml") as Loose[];
    expect(sources.datasources[0].url).toBe("http://prometheus:9090");
    const mounted = (compose.services.grafana.volumes as string[]).map((volume) => volume.split(":")[1]!);
    expect(mounted).toContain(`${provider.providers[0].options.path}/picospec.json`);
    const [prometheus] = yamlDocuments("deploy/prometheus/prometheus.yaml") as Loose[];
    const jobs = prometheus.scrape_configs.map(({ job_name }: Loose) => job_name);
    expect(jobs).toEqual(["picospec-cloud"]);
    expect(readFileSync("deploy/grafana/picospec.json", "utf8")).toContain("picospec-cloud");
  });
});
