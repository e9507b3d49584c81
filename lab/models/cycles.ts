import {
  type AheadPasses,
  allAccepted,
  type Course,
  type PipelineRules,
  type PipelineState,
  type PipelineTimes,
  stateAfter,
} from "./all-accepted.ts";

/**
 * Cycles from one rejection to the next, as a Markov chain over the states that they begin in: see renewal.ts
 * for the derivation.
 */

/** Courses are followed until what is left has a probability below this, or for so many drafts. */
const NEGLIGIBLE = 1e-12;
const MOST_DRAFTS = 4096;
/** A course that repeats itself does so within as many drafts. */
const MOST_PERIOD = 512;
/** Times that lie closer than this are one, ms. */
const RESOLUTION_MS = 1e-6;
/**
 * Where segments are cut off by the clock, the time that the drafter is still busy can take any value. After so
 * many it is rounded to this share of a draft.
 */
const MOST_BUSY_TIMES = 100;
const BUSY_STEPS = 50;
/**
 * The estimate of gaps is kept on a grid that is finest around a pass's time, where it decides something, and
 * coarser in proportion to the distance: point k lies passMs * (1 + FINEST * sinh(GROWTH * (k + 1/2))).
 */
const FINEST = 0.02;
const GROWTH = 0.1;
/** The stationary distribution: probabilities are followed down to this, until they move by less than that. */
const LEAST_MASS = 1e-9;
const SETTLED = 1e-9;
const MOST_ROUNDS = 5000;
/** How far a round goes towards the next distribution: less than all the way, or one that alternates never settles. */
const STRIDE = 0.9;

/** A state that cycles begin in. */
interface Start {
  readonly state: PipelineState;
  mass: number;
  /** expectations over a cycle that begins here; null: not needed yet */
  cycle: Cycle | null;
}

interface Cycle {
  readonly meanMs: number;
  readonly meanPasses: number;
  /** indices of the next cycle's starts, Int32Array[n], and their probabilities, Float64Array[n] */
  readonly next: Int32Array;
  readonly probability: Float64Array;
}

export class Cycles {
  /** per cycle; with an acceptance of 1, when no cycle ever ends, per token */
  readonly meanMs: number;
  readonly passes: number;
  readonly tokens: number;
  /** of the samples that the cloud's estimate is made of; Infinity and -Infinity: there were none */
  leastGapMs = Number.POSITIVE_INFINITY;
  mostGapMs = Number.NEGATIVE_INFINITY;
  private readonly rules: PipelineRules;
  private readonly times: PipelineTimes;
  private readonly acceptance: number;
  private readonly ahead: AheadPasses;
  /** how many a course is followed for */
  private readonly drafts: number;
  private readonly starts: Start[] = [];
  private readonly indexOf = new Map<string, number>();
  /** by `busyMs` */
  private readonly courses = new Map<number, Course[]>();

  /** @param acceptance probability that a draft is accepted, from 0 to 1 */
  constructor(rules: PipelineRules, times: PipelineTimes, acceptance: number, ahead: AheadPasses) {
    this.rules = rules;
    this.times = times;
    this.acceptance = acceptance;
    this.ahead = ahead;
    const enough = acceptance < 1 ? Math.ceil(Math.log(NEGLIGIBLE) / Math.log(acceptance)) : MOST_DRAFTS;
    this.drafts = Math.max(1, Math.min(MOST_DRAFTS, enough));
    const first: PipelineState = { busyMs: 0, gapMs: -1 };
    if (acceptance === 1) {
      const course = this.course(first);
      this.meanMs = steadySlope(course.verdictMs);
      this.passes = steadySlope(course.passes);
      this.tokens = 1;
      return;
    }
    this.starts[this.indexFor(first)]!.mass = 1;
    this.settle();
    this.meanMs = this.average((cycle) => cycle.meanMs);
    this.passes = this.average((cycle) => cycle.meanPasses);
    this.tokens = 1 / (1 - acceptance);
  }

  private average(of: (cycle: Cycle) => number): number {
    let [total, mass] = [0, 0];
    for (const start of this.starts) {
      if (!start.cycle) continue;
      total += start.mass * of(start.cycle);
      mass += start.mass;
    }
    return total / mass;
  }

  /** Iterates to the stationary distribution. */
  private settle(): void {
    const { starts } = this;
    for (let round = 0; round < MOST_ROUNDS; round++) {
      for (let index = starts.length - 1; index >= 0; index--) {
        const start = starts[index]!;
        if (start.mass >= LEAST_MASS) start.cycle ??= this.cycle(start.state);
      }
      const masses = new Float64Array(starts.length);
      for (const { mass, cycle } of starts) {
        if (!cycle) continue;
        const { next, probability } = cycle;
        for (let i = 0; i < next.length; i++) masses[next[i]!]! += mass * probability[i]!;
      }
      let moved = 0;
      for (const [index, start] of starts.entries()) {
        const step = STRIDE * (masses[index]! - start.mass);
        moved += Math.abs(step);
        start.mass += step;
      }
      if (moved < SETTLED) return;
    }
  }

  /** Starts that decide alike have one course. */
  private course(state: PipelineState): Course {
    const { busyMs, gapMs } = state;
    const key = busyKey(busyMs);
    const known = this.courses.get(key) ?? [];
    this.courses.set(key, known);
    const same = known.find((course) => gapMs >= 0 && gapMs >= course.gapFromMs && gapMs < course.gapToMs);
    if (same) return same;
    const course = allAccepted(this.rules, this.times, state, this.drafts, this.ahead);
    this.leastGapMs = Math.min(this.leastGapMs, course.leastGapMs);
    this.mostGapMs = Math.max(this.mostGapMs, course.mostGapMs);
    if (gapMs >= 0) known.push(course);
    return course;
  }

  /** Sums over the first rejected draft; past the end of the course it goes on as steadily as it ends. */
  private cycle(state: PipelineState): Cycle {
    const { acceptance } = this;
    const course = this.course(state);
    const { verdictMs, passes } = course;
    const next = new Map<number, number>();
    let [meanMs, meanPasses, reached] = [0, 0, 1];
    for (let i = 0; i < verdictMs.length; i++) {
      const probability = reached * (1 - acceptance);
      meanMs += probability * verdictMs[i]!;
      meanPasses += probability * passes[i]!;
      this.lead(stateAfter(course, i, state), probability, next);
      reached *= acceptance;
    }
    const last = verdictMs.length - 1;
    const furtherDrafts = 1 / (1 - acceptance);
    meanMs += reached * (verdictMs[last]! + furtherDrafts * steadySlope(verdictMs));
    meanPasses += reached * (passes[last]! + furtherDrafts * steadySlope(passes));
    this.lead(stateAfter(course, last, state), reached, next);
    const indices = Int32Array.from(next.keys());
    return { meanMs, meanPasses, next: indices, probability: Float64Array.from(next.values()) };
  }

  /** The next cycle begins in this state with this probability. */
  private lead(state: PipelineState, probability: number, next: Map<number, number>): void {
    const busyMs = this.rounded(state.busyMs);
    const { gapMs } = state;
    const add = (state: PipelineState, share: number) => {
      if (share <= 0) return;
      const to = this.indexFor(state);
      next.set(to, (next.get(to) ?? 0) + share * probability);
    };
    const { passMs } = this.times;
    if (this.ahead !== "estimate" || gapMs < 0 || passMs === 0) {
      add({ busyMs, gapMs: -1 }, 1);
      return;
    }
    // Shared between the two points around it, so that its mean is kept.
    const pointMs = (k: number) => passMs * (1 + FINEST * Math.sinh(GROWTH * (k + 0.5)));
    const below = Math.floor(Math.asinh((gapMs / passMs - 1) / FINEST) / GROWTH - 0.5);
    const [belowMs, aboveMs] = [pointMs(below), pointMs(below + 1)];
    const above = Math.min(1, Math.max(0, (gapMs - belowMs) / (aboveMs - belowMs)));
    if (belowMs < 0) {
      add({ busyMs, gapMs: aboveMs }, 1);
      return;
    }
    add({ busyMs, gapMs: belowMs }, 1 - above);
    add({ busyMs, gapMs: aboveMs }, above);
  }

  private rounded(busyMs: number): number {
    if (this.courses.size < MOST_BUSY_TIMES || this.courses.has(busyKey(busyMs))) return busyMs;
    const stepMs = this.times.draftMs / BUSY_STEPS;
    return Math.round(busyMs / stepMs) * stepMs;
  }

  private indexFor(state: PipelineState): number {
    const key = `${busyKey(state.busyMs)} ${Math.round(state.gapMs / RESOLUTION_MS)}`;
    const known = this.indexOf.get(key);
    if (known !== undefined) return known;
    this.indexOf.set(key, this.starts.length);
    this.starts.push({ state, mass: 0, cycle: null });
    return this.starts.length - 1;
  }
}

function busyKey(busyMs: number): number {
  return Math.round(busyMs / RESOLUTION_MS);
}

/**
 * Growth an entry at the end of a series that has become periodic; where it has not, over its second half.
 * @param values rising, Float64Array[n]
 */
function steadySlope(values: Float64Array): number {
  const last = values.length - 1;
  if (last === 0) return values[0]!;
  const middle = last >> 1;
  const step = (i: number) => values[i]! - values[i - 1]!;
  for (let period = 1; period <= Math.min(MOST_PERIOD, middle >> 1); period++) {
    let same = true;
    for (let i = last; same && i > middle + period; i--) {
      same = Math.abs(step(i) - step(i - period)) < RESOLUTION_MS;
    }
    if (same) return (values[last]! - values[last - period]!) / period;
  }
  return (values[last]! - values[middle]!) / (last - middle);
}
