/** Estimates that forget: what edge and cloud learn of times and of acceptance as they go. */

/** A running mean of samples in any unit, with its mean absolute deviation. */
export class RunningMean {
  /** -1 before the first sample; samples are 0 or more */
  mean = -1;
  deviation = 0;
  private readonly weight: number;

  /**
   * @param weight of a new sample, from 0 to 1
   * @param start an estimate to go on from
   */
  constructor(weight: number, start?: RunningMean) {
    this.weight = weight;
    if (start) {
      this.mean = start.mean;
      this.deviation = start.deviation;
    }
  }

  /** @param weight another one for this sample, which then says nothing of the deviation */
  add(sample: number, weight?: number): void {
    if (this.mean < 0) {
      this.mean = sample;
      return;
    }
    if (weight === undefined) this.deviation += this.weight * (Math.abs(sample - this.mean) - this.deviation);
    this.mean += (weight ?? this.weight) * (sample - this.mean);
  }
}

/** The share of events that come true, of which older ones fade, with a guess for a start. */
export class FadingShare {
  private trueWeight: number;
  private allWeight: number;
  private readonly fading: number;

  /**
   * @param fading what is left of an event's weight when the next one comes, from 0 to 1
   * @param prior what is believed before any event
   * @param priorWeight how many events that counts as
   */
  constructor(fading: number, prior: number, priorWeight: number) {
    this.fading = fading;
    this.trueWeight = prior * priorWeight;
    this.allWeight = priorWeight;
  }

  add(cameTrue: boolean): void {
    this.trueWeight = this.fading * this.trueWeight + (cameTrue ? 1 : 0);
    this.allWeight = this.fading * this.allWeight + 1;
  }

  /** From 0 to 1. */
  get share(): number {
    return this.trueWeight / this.allWeight;
  }

  /** Standard deviation of the share, as of so many independent events. */
  get deviation(): number {
    return Math.sqrt((this.share * (1 - this.share)) / this.allWeight);
  }
}

/** What a logarithm is left of its weight when the next one comes. */
const LOG_FADING = 0.75;

/** The mean of logarithms, older ones fading, and how sure it is. */
export class FadingLog {
  samples = 0;
  private weight = 0;
  private sum = 0;
  private squares = 0;
  private readonly priorDeviation: number;

  /** @param priorDeviation what samples are believed to scatter by before there are several */
  constructor(priorDeviation: number) {
    this.priorDeviation = priorDeviation;
  }

  get mean(): number {
    return this.sum / this.weight;
  }

  /** Of the mean. */
  get variance(): number {
    return this.deviation ** 2 / this.weight;
  }

  /** Standard deviation of a sample. */
  get deviation(): number {
    const scatter = Math.max(0, this.squares / this.weight - this.mean ** 2);
    return Math.sqrt(Math.max(scatter, this.priorDeviation ** 2 / this.samples));
  }

  add(sample: number): void {
    this.samples++;
    this.weight = LOG_FADING * this.weight + 1;
    this.sum = LOG_FADING * this.sum + sample;
    this.squares = LOG_FADING * this.squares + sample ** 2;
  }

  forget(): void {
    this.samples = 0;
    this.weight = 0;
    this.sum = 0;
    this.squares = 0;
  }
}
