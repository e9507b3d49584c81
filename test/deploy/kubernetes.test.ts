import { describe, expect, it } from "vitest";
import { filesIn, yamlDocuments } from "../support/deployment.ts";
import { wrongFields, wrongValues } from "../support/manifests.ts";

/** The manifests, held against the API's own schemas. */

// biome-ignore lint/suspicious/noExplicitAny: documents are unknown until their schema says what they are
type Loose = any;

const FOLDER = "deploy/kubernetes";
const KUSTOMIZATION = `${FOLDER}/kustomization.yaml`;

const manifests = filesIn(FOLDER, ".yaml")
  .filter((path) => path !== KUSTOMIZATION)
  .flatMap((path) => (yamlDocuments(path) as Loose[]).map((manifest) => ({ path, manifest })));
const ofKind = (kind: string) => manifests.find(({ manifest }) => manifest.kind === kind)!.manifest;

describe.each(manifests.map(({ path, manifest }) => [path, manifest] as const))("%s", (_, manifest) => {
  it("has values that the API takes", () => {
    expect(wrongValues(manifest)).toBeNull();
  });

  it("is in the namespace", () => {
    const { namespace, name } = manifest.metadata;
    expect(namespace ?? name).toBe("picospec");
  });
});

it("the manifests have no field that the API does not have", () => {
  expect(wrongFields(manifests.map(({ manifest }) => manifest))).toEqual([]);
});

it("control: a wrong value, a wrong field and a wrong kind are found", () => {
  const broken = (change: (copy: Loose) => void) => {
    const copy = structuredClone(ofKind("Deployment"));
    change(copy);
    return copy;
  };
  const value = broken(({ spec }) => {
    spec.template.spec.terminationGracePeriodSeconds = "long";
  });
  expect(wrongValues(value)).toMatch(/terminationGracePeriodSeconds must be integer/);
  const field = broken(({ spec }) => {
    spec.template.spec.containers[0].readynessProbe = {};
  });
  expect(wrongValues(field)).toBeNull();
  expect(wrongFields([field])).toEqual([expect.stringMatching(/readynessProbe/)]);
  const kind = broken((copy) => {
    copy.kind = "Deploiment";
  });
  expect(wrongValues(kind)).toMatch(/no Deploiment/);
});

describe("the manifests together", () => {
  const deployment = ofKind("Deployment");
  const labels = deployment.spec.template.metadata.labels;

  it("select the pods of the deployment", () => {
    const selectors = [
      deployment.spec.selector.matchLabels,
      ofKind("Service").spec.selector,
      ofKind("PodDisruptionBudget").spec.selector.matchLabels,
      ofKind("NetworkPolicy").spec.podSelector.matchLabels,
      deployment.spec.template.spec.topologySpreadConstraints[0].labelSelector.matchLabels,
    ];
    for (const selector of selectors) expect(selector).toEqual(labels);
    expect(ofKind("ServiceMonitor").spec.selector.matchLabels).toEqual(ofKind("Service").metadata.labels);
  });

  it("name what there is of each other", () => {
    const { volumes, containers } = deployment.spec.template.spec;
    const [container] = containers;
    const names = container.ports.map(({ name }: Loose) => name);
    expect(volumes[0].persistentVolumeClaim.claimName).toBe(ofKind("PersistentVolumeClaim").metadata.name);
    expect(volumes[1].secret.secretName).toBe(ofKind("Secret").metadata.name);
    const keys = container.args[container.args.indexOf("--keys") + 1].split("/").at(-1);
    expect(Object.keys(ofKind("Secret").stringData)).toEqual([keys]);
    const [{ scaleTargetRef }, service] = [ofKind("HorizontalPodAutoscaler").spec, ofKind("Service")];
    expect(scaleTargetRef).toEqual({
      apiVersion: "apps/v1",
      kind: "Deployment",
      name: deployment.metadata.name,
    });
    for (const { name, targetPort } of service.spec.ports) expect(names).toContain(targetPort ?? name);
    const { backend } = ofKind("Ingress").spec.rules[0].http.paths[0];
    expect(backend.service).toEqual({ name: service.metadata.name, port: { name: "picospec" } });
    expect(names).toContain(ofKind("ServiceMonitor").spec.endpoints[0].port);
    for (const { ports } of ofKind("NetworkPolicy").spec.ingress) expect(names).toContain(ports[0].port);
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
      expect(names).toContain(container[probe].httpGet.port);
    }
  });

  it("leave a cloud when one is taken away, and no secret in the repository", () => {
    const { minReplicas } = ofKind("HorizontalPodAutoscaler").spec;
    expect(minReplicas).toBeGreaterThan(ofKind("PodDisruptionBudget").spec.maxUnavailable);
    expect(Object.values<string>(ofKind("Secret").stringData).join("")).not.toMatch(/sha256:[0-9a-f]/);
  });

  it("are applied by the kustomization, but for the example of a secret", () => {
    const [kustomization] = yamlDocuments(KUSTOMIZATION) as Loose[];
    expect(Object.keys(kustomization)).toEqual(["apiVersion", "kind", "resources"]);
    const paths = kustomization.resources.map((name: string) => `${FOLDER}/${name}`);
    const applied = manifests.map(({ path }) => path).filter((path) => !path.includes("example"));
    expect(paths.sort()).toEqual(applied.sort());
  });

  it("run as no root, with nothing that they do not need", () => {
    const { securityContext, containers, automountServiceAccountToken } = deployment.spec.template.spec;
    expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
    expect(automountServiceAccountToken).toBe(false);
    expect(containers[0].securityContext).toEqual({
      ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
      capabilities: { drop: ["ALL"] },
    });
  });
});
