import { execFileSync } from "node:child_process";

/** Tests of the command line run what users run: the built package. */
export function setup(): void {
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    stdio: "inherit",
  });
}
