import {
  type ColumnReport,
  type Contradiction,
  PAPER_BARS,
  type PaperReport,
} from "../../lab/bench/paper-report.ts";
import { PAPER_GAMMA, PAPER_ROWS, PAPER_SOURCE, type PaperRowName } from "../../lab/models/paper.ts";
import { table } from "./output.ts";
import { wrapped } from "./text.ts";

/** The suite paper as text. */

const ROWS: Record<PaperRowName, string> = {
  full: "PicoSpec",
  withoutParallelDrafting: "no Parallel Drafting",
  withoutFastVerification: "no Fast Verification",
  withoutSeparateRejection: "no separate rejection",
};

export function paperText(report: PaperReport): string {
  return [
    `The paper (${PAPER_SOURCE}) against its formulas and against our simulator. Nothing here was measured by us.`,
    closedForms(report),
    columns(report),
    draftLengths(report),
    ["Where published numbers contradict one another:", ...report.contradictions.flatMap(contradiction)].join(
      "\n",
    ),
    ["What they do not explain:", ...report.contradictions.map(slowVanilla)].join("\n"),
  ]
    .map((part) => wrapped(part, "    "))
    .join("\n\n");
}

function closedForms({ columns, closedForms }: PaperReport): string {
  const head = ["tokens/s by its formulas / published", ...columns.map(title)];
  const lines = PAPER_ROWS.map((row) => [
    ROWS[row],
    ...columns.map(({ column }) => {
      const one = closedForms.find((form) => form.column === column && form.row === row)!;
      return `${one.tokensPerSecond.toFixed(2)} / ${one.published.toFixed(2)} (${percent(one.error)})`;
    }),
  ]);
  const errors = closedForms.map(({ error }) => error);
  return `${table([head, ...lines])}\n${verdict(errors, PAPER_BARS.closedForm)}`;
}

function columns({ columns }: PaperReport): string {
  const row = (name: string, cell: (column: ColumnReport) => string) => [name, ...columns.map(cell)];
  const speedUp = (value: number, error: number) => `${value.toFixed(2)}x ±${error.toFixed(2)}`;
  const rows = [
    row("speed-up over the cloud alone", title),
    row("PicoSpec, published", ({ published }) => `${published.toFixed(2)}x`),
    row("picospec, simulated", ({ picospec, speedUpError }) => speedUp(picospec, speedUpError)),
    row("  off by", ({ error }) => percent(error)),
    row("picospec, exact model", ({ exactModel }) => `${exactModel.toFixed(2)}x`),
    row("vanilla, published", ({ publishedVanilla }) => `${publishedVanilla.toFixed(2)}x`),
    row("vanilla, simulated", ({ vanilla }) => `${vanilla.toFixed(2)}x`),
    row("AceSpec, published", ({ successor }) => (successor === null ? "–" : `${successor.toFixed(2)}x`)),
    row("race, simulated", ({ race, raceError }) => speedUp(race, raceError)),
  ];
  const errors = columns.map(({ error }) => error);
  return `${table(rows)}\n${verdict(errors, PAPER_BARS.speedUp)}`;
}

function draftLengths({ draftLengths }: PaperReport): string {
  const head = [
    "drafts of, Qwen GSM8K",
    "published",
    "its formula",
    "off by",
    "simulated picospec",
    "off by",
  ];
  const lines = draftLengths.map((one) => [
    String(one.gamma),
    one.published.toFixed(2),
    one.closedForm.toFixed(2),
    percent(one.closedFormError),
    `${one.simulated.toFixed(2)} ±${one.simulatedInterval.toFixed(2)}`,
    percent(one.simulatedError),
  ]);
  const [three, four] = [3, 4].map((gamma) => draftLengths.find((one) => one.gamma === gamma)!);
  const gap = three!.closedForm / four!.closedForm - 1;
  return [
    table([head, ...lines]),
    `formula: ${verdict(
      draftLengths.map((one) => one.closedFormError),
      PAPER_BARS.closedForm,
    )}`,
    `simulator: ${verdict(
      draftLengths.map((one) => one.simulatedError),
      PAPER_BARS.draftLength,
    )}`,
    `By the formula 3 and 4 are a tie (${percent(gap)}): it does not give the paper's maximum at 4.`,
  ].join("\n");
}

function verdict(errors: readonly number[], bar: number): string {
  const worst = Math.max(...errors.map(Math.abs));
  const within = errors.filter((error) => Math.abs(error) <= bar).length;
  const all = `within ${percent(bar, "")}: ${within} of ${errors.length}`;
  return `${all}${within < errors.length ? ", FAILS" : ""}; the largest error is ${percent(worst, "")}`;
}

function contradiction({
  column,
  accepted,
  acceptedTooMany,
  tokensPerSyncCycle,
  tokensTooMany,
  worstError,
}: Contradiction): string[] {
  if (!acceptedTooMany && !tokensTooMany) {
    return [
      `  ${column}: none with drafts of ${PAPER_GAMMA}; its formulas fit within ${percent(worstError, "")}`,
    ];
  }
  const cycle = `${tokensPerSyncCycle.toFixed(2)} tokens a cycle without overlap`;
  return [
    `  ${column}: ${accepted} accepted a cycle with drafts of ${PAPER_GAMMA}${acceptedTooMany ? ", which is more than there are" : ""};`,
    `    ${cycle}${tokensTooMany ? `, more than ${PAPER_GAMMA} and a bonus` : ""}; whatever the acceptance, a formula is off by ${percent(worstError, "")}`,
  ];
}

function slowVanilla({ column, vanillaCycleMs, denseCycleMs }: Contradiction): string {
  const dense = `drafts and a verification with a dense exchange take ${denseCycleMs.toFixed(0)} ms`;
  return `  ${column}: a cycle of the published vanilla takes ${vanillaCycleMs.toFixed(0)} ms, but ${dense}`;
}

function title({ pair, benchmark }: ColumnReport): string {
  return `${pair.split(" ")[0]} ${benchmark}`;
}

function percent(share: number, plus = "+"): string {
  return `${share > 0 ? plus : ""}${(100 * share).toFixed(1)}%`;
}
