import { HubError } from "./errors.ts";
import { type HubName, hubNameText } from "./name.ts";

/** A file of a repository, as its listing says. */
export interface HubFile {
  /** within the repository, with slashes */
  readonly path: string;
  readonly sizeBytes: number;
  /** hexadecimal; null where the hub does not say */
  readonly sha256: string | null;
}

/** One model: a file, or all parts of one that was split, in order. */
interface Candidate {
  readonly label: string;
  readonly quantisation: string | null;
  readonly files: readonly HubFile[];
}

/** Taken in this order where the user does not say: the usual balance, then the closest to the original. */
const USUAL = ["Q4_K_M", "Q8_0"];
const MOST_SHOWN = 20;
const PART = /-(\d{5})-of-(\d{5})(?=\.gguf$)/i;
const QUANTISATION =
  /(?<![A-Za-z0-9])(?:UD-)?(?:(?:IQ|TQ|Q)\d(?:_(?:\d|K|NL|XXS|XS|S|M|XXL|XL|L)(?![A-Za-z0-9]))*|BF16|FP?16|F32|MXFP4(?:_MOE)?)(?![A-Za-z0-9])/gi;

/** The quantisation that a file's name tells, as people write it; null where it tells none. */
export function quantisationOf(path: string): string | null {
  const parts = path.replace(PART, "").split("/").reverse();
  const found = parts.map((part) => part.match(QUANTISATION)?.at(-1)).find((match) => match !== undefined);
  return found?.toUpperCase().replace("FP16", "F16") ?? null;
}

/** Paths of all parts of a model in order: one, unless the path is of a part. */
export function partsOf(path: string): string[] {
  const match = PART.exec(path);
  if (!match) return [path];
  const total = match[2]!;
  return Array.from({ length: Number(total) }, (_, index) =>
    path.replace(PART, `-${String(index + 1).padStart(5, "0")}-of-${total}`),
  );
}

/**
 * The files of the model that a name means: one, or all parts of one that was split.
 * @throws HubError `no_file`, `ambiguous_file`
 */
export function pickFiles(name: HubName, listed: readonly HubFile[]): readonly HubFile[] {
  const all = candidates(listed);
  if (all.length === 0) {
    throw new HubError(
      "no_file",
      `${name.repository} holds no model in GGUF format; look for a -GGUF repository`,
    );
  }
  if (name.wish === null) return usual(name, all).files;
  if (/\.gguf$/i.test(name.wish)) return byFile(name, name.wish, all).files;
  const wish = name.wish.toUpperCase();
  const exact = all.filter(({ quantisation }) => quantisation === wish);
  const close = all.filter(({ quantisation }) => quantisation === `UD-${wish}`);
  const found = exact.length > 0 ? exact : close;
  if (found.length === 0) {
    throw new HubError("no_file", `${name.repository} has no ${name.wish}; it has ${shown(all)}`);
  }
  return single(name, found).files;
}

function byFile(name: HubName, wish: string, all: readonly Candidate[]): Candidate {
  const same = (normal: (text: string) => string) =>
    all.filter(({ files }) =>
      files.some(({ path }) =>
        [path, path.slice(path.lastIndexOf("/") + 1)].map(normal).includes(normal(wish)),
      ),
    );
  const exact = same((text) => text);
  const found = exact.length > 0 ? exact : same((text) => text.toLowerCase());
  if (found.length > 0) return single(name, found);
  const why = isProjector(wish)
    ? `${wish} is a projector for images and no language model`
    : `there is no ${wish}`;
  throw new HubError("no_file", `${why} in ${name.repository}; it has ${shown(all)}`);
}

function usual(name: HubName, all: readonly Candidate[]): Candidate {
  for (const wanted of USUAL) {
    for (const label of [wanted, `UD-${wanted}`]) {
      const found = all.filter(({ quantisation }) => quantisation === label);
      if (found.length > 0) return single(name, found);
    }
  }
  return single(name, all);
}

function single(name: HubName, found: readonly Candidate[]): Candidate {
  if (found.length === 1) return found[0]!;
  const example = hubNameText({ ...name, wish: found[0]!.label });
  throw new HubError(
    "ambiguous_file",
    `${hubNameText(name)} may be several files; say which, such as ${example}: ${shown(found)}`,
  );
}

/** Language models only, with the parts of split ones together. Incomplete ones are omitted. */
function candidates(listed: readonly HubFile[]): Candidate[] {
  const byPath = new Map(listed.map((file) => [file.path, file]));
  return listed
    .filter(({ path }) => /\.gguf$/i.test(path) && !isProjector(path) && !isImportanceMatrix(path))
    .filter(({ path }) => partsOf(path)[0] === path)
    .map(({ path }) => ({ path, files: partsOf(path).map((part) => byPath.get(part)) }))
    .filter(({ files }) => files.every((file) => file !== undefined))
    .map(({ path, files }) => ({
      label: path,
      quantisation: quantisationOf(path),
      files: files as HubFile[],
    }));
}

/** The part of a model with eyes that turns images into embeddings. */
function isProjector(path: string): boolean {
  return /mmproj/i.test(path.slice(path.lastIndexOf("/") + 1));
}

function isImportanceMatrix(path: string): boolean {
  return /(?:^|[/._-])imatrix(?:[._-]|$)/i.test(path) && quantisationOf(path) === null;
}

function shown(all: readonly Candidate[]): string {
  const some = all.slice(0, MOST_SHOWN).map(({ label, files }) => {
    const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return `${label} (${bytesText(bytes)})`;
  });
  const more = all.length - some.length;
  return `${some.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** A size for a person: decimal units, as the hub shows them. */
export function bytesText(bytes: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return power === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}
