import type { WitnessesFrame } from "../../protocol/frame.ts";
import type { ResidualStep } from "../../sampling/rejection.ts";

/** A draft that the cloud rejected, from then until another token stands in its place. */
export class Replacement {
  readonly position: number;
  /** of the draft that fell */
  readonly lineage: number;
  /** the draft that fell */
  readonly fallen: number;
  /** the witnesses that are on their way; count 0: all of p */
  private asked: { readonly from: number; readonly count: number } | null = null;

  constructor(position: number, lineage: number, fallen: number) {
    this.position = position;
    this.lineage = lineage;
    this.fallen = fallen;
  }

  /** What the draw needs to go on, as the cloud is asked for it. */
  ask(step: Exclude<ResidualStep, { kind: "token" }>): { readonly from: number; readonly count: number } {
    const { from, count } = step.kind === "needWitnesses" ? step : { from: 0, count: 0 };
    this.asked = { from, count };
    return this.asked;
  }

  /** Whether the frame brings what was asked for; then nothing is on its way any more. */
  takes({ lineage, position, from, reply }: WitnessesFrame): boolean {
    const { asked } = this;
    const came = reply.kind === "dense" ? 0 : reply.witnesses.ids.length;
    const fits =
      asked !== null &&
      lineage === this.lineage &&
      position === this.position &&
      from === asked.from &&
      came === asked.count &&
      (reply.kind === "dense") === (asked.count === 0);
    if (fits) this.asked = null;
    return fits;
  }
}
