/** What a sample is left of its weight when the next one comes. */
const FADING = 0.75;
/** What samples are believed to scatter by before there are several. */
const PRIOR_DEVIATION = 0.15;

/** The mean of logarithms, older ones fading, and how sure it is. */
export class FadingLog {
  samples = 0;
  private weight = 0;
  private sum = 0;
  private squares = 0;

  get mean(): number {
    return this.sum / this.weight;
  }

  /** Of the mean. */
  get variance(): number {
    const scatter = Math.max(0, this.squares / this.weight - this.mean ** 2);
    return Math.max(scatter, PRIOR_DEVIATION ** 2 / this.samples) / this.weight;
  }

  add(sample: number): void {
    this.samples++;
    this.weight = FADING * this.weight + 1;
    this.sum = FADING * this.sum + sample;
    this.squares = FADING * this.squares + sample ** 2;
  }

  forget(): void {
    this.samples = 0;
    this.weight = 0;
    this.sum = 0;
    this.squares = 0;
  }
}
