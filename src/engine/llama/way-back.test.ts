import { describe, expect, it } from "vitest";
import { checkWayBack, type Rewound } from "./way-back.ts";

/** A row that is the sum of all tokens; where it does not forget, tokens that were taken back stay in it. */
class Summing implements Rewound {
  readonly vocabularySize = 1000;
  private held: number[] = [];
  private state = 0;
  private readonly forgets: boolean;

  constructor(forgets: boolean) {
    this.forgets = forgets;
  }

  add(_sequence: number, tokens: Int32Array): number {
    this.held.push(...tokens);
    for (const token of tokens) this.state += token;
    return 0;
  }

  decode(done: (error: null) => void): void {
    done(null);
  }

  row(): Float32Array {
    return Float32Array.of(this.state);
  }

  truncate(_sequence: number, length: number): void {
    this.held = this.held.slice(0, length);
    if (this.forgets) this.state = this.held.reduce((a, b) => a + b, 0);
  }

  clear(): void {
    this.held = [];
    this.state = 0;
  }
}

describe("checkWayBack", () => {
  it("passes where what was taken back is forgotten, and leaves nothing behind", async () => {
    const context = new Summing(true);
    await checkWayBack(context, "lfm2");
    expect(context.row()[0]).toBe(0);
  });

  it("refuses a model whose state keeps it", async () => {
    await expect(checkWayBack(new Summing(false), "made-up")).rejects.toMatchObject({
      code: "unsupported_model",
      message: expect.stringContaining("made-up"),
    });
  });
});
