import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ARCHITECTURES } from "./architectures.ts";
import { writeRandomModel } from "./random.ts";

/** Those with recurrent layers. */
export const HYBRID = ["qwen35", "lfm2", "granitehybrid"];

/** A target of every architecture with random weights, and as its drafter the same with noise, so that it is wrong often. */
export class PairsOfAll {
  readonly folder = mkdtempSync(join(tmpdir(), "picospec-"));

  constructor() {
    for (const { name } of ARCHITECTURES) {
      writeRandomModel(this.target(name), { architecture: name });
      writeRandomModel(this.drafter(name), { architecture: name, noise: 0.08 });
    }
  }

  target(name: string): string {
    return join(this.folder, `${name}.gguf`);
  }

  drafter(name: string): string {
    return join(this.folder, `${name}-drafter.gguf`);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
