// Builds engines/llguidance and compares it with the file that is committed: npm run build:wasm [-- --write].
// Everything that it fetches goes into a cache outside of the checkout.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

const CRATE = resolve("engines/llguidance");
const BUILT = join(CRATE, "llguidance.wasm");
const RECORD = join(CRATE, "built.json");
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "picospec", "wasm");
/** Debian's Rust for the web: with the standard library's source, which a smaller build needs. */
const PACKAGES = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"];
const [RUSTC, CARGO, LINKER] = ["/usr/bin/rustc", "/usr/bin/cargo", "/usr/bin/rust-lld"];

const run = (program, args, options = {}) => execFileSync(program, args, { stdio: "inherit", ...options });
const sha256 = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

if (![RUSTC, CARGO, LINKER].every((path) => existsSync(path))) {
  try {
    run("apt-get", ["update", "-qq"]);
    run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES]);
  } catch {
    console.error(`build:wasm needs ${PACKAGES.join(", ")}: install them, or run it as root on Debian`);
    process.exit(1);
  }
}

mkdirSync(CACHE, { recursive: true });
const cargoHome = join(CACHE, "cargo");
const target = join(CACHE, "target");
run(
  CARGO,
  ["build", "--release", "--locked", "-Zbuild-std=std,panic_abort", "--target", "wasm32-unknown-unknown"],
  {
    cwd: CRATE,
    env: {
      ...process.env,
      CARGO_HOME: cargoHome,
      CARGO_TARGET_DIR: target,
      RUSTC,
      // The standard library is built here, which stable Rust calls unstable.
      RUSTC_BOOTSTRAP: "1",
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: LINKER,
      RUSTFLAGS: [
        "-Clink-arg=--allow-undefined",
        "-Clink-arg=--max-memory=1073741824",
        // No paths of this machine in the file.
        "-Zlocation-detail=none",
        `--remap-path-prefix=${cargoHome}=cargo`,
        `--remap-path-prefix=${CRATE}=.`,
      ].join(" "),
    },
  },
);

const made = join(target, "wasm32-unknown-unknown", "release", "picospec_llguidance.wasm");
const lock = readFileSync(join(CRATE, "Cargo.lock"), "utf8");
const versions = Object.fromEntries(
  ["llguidance", "toktrie", "derivre"].map((name) => [
    name,
    new RegExp(`name = "${name}"\\nversion = "([^"]+)"`).exec(lock)?.[1] ?? "none",
  ]),
);
const record = {
  sha256: sha256(made),
  bytes: readFileSync(made).length,
  rustc: execFileSync(RUSTC, ["--version"], { encoding: "utf8" }).trim(),
  linker: execFileSync(LINKER, ["-flavor", "wasm", "--version"], { encoding: "utf8" }).trim(),
  crates: versions,
  sources: Object.fromEntries(
    ["Cargo.toml", "Cargo.lock", "src/lib.rs"].map((path) => [path, sha256(join(CRATE, path))]),
  ),
};
if (process.argv.includes("--write")) {
  writeFileSync(BUILT, readFileSync(made));
  writeFileSync(RECORD, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`${BUILT}: ${record.bytes} bytes, sha256 ${record.sha256}`);
} else if (sha256(BUILT) !== record.sha256) {
  const was = JSON.parse(readFileSync(RECORD, "utf8"));
  console.error(
    `the build gives ${record.sha256} (${record.rustc}), and ${was.sha256} (${was.rustc}) is committed`,
  );
  // Another compiler gives other bytes, and is no fault of the sources.
  process.exitCode = was.rustc === record.rustc && was.linker === record.linker ? 1 : 0;
  if (process.exitCode === 0) console.error("the tools are others: nothing is compared");
} else {
  console.log(`the same bytes as committed: ${record.bytes}, sha256 ${record.sha256}`);
}
