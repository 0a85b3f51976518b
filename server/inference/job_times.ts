/** Expected of a job before any was done, in milliseconds. */
const FIRST_GUESS_MS = 50;
/** Jobs over which a running mean is taken. */
const SMOOTHING = 20;

/** How long a worker takes for a photo, as a running mean for each model. */
export class JobTimes {
  readonly #models = new Map<string, RunningMean>();
  readonly #all = new RunningMean();

  /** @param ms that a worker had a photo for `model` */
  record(model: string, ms: number): void {
    const mean = this.#models.get(model) ?? new RunningMean();
    this.#models.set(model, mean);
    mean.add(ms);
    this.#all.add(ms);
  }

  /** Milliseconds that the next photo for `model` is likely to take: what other models' do where it had none yet. */
  expected(model: string): number {
    return this.#models.get(model)?.value ?? this.#all.value ?? FIRST_GUESS_MS;
  }
}

/** The plain mean of the first values, then one that forgets: a single photo moves it by a twentieth. */
class RunningMean {
  #count = 0;
  #mean = 0;

  get value(): number | undefined {
    return this.#count > 0 ? this.#mean : undefined;
  }

  add(value: number): void {
    this.#count = Math.min(SMOOTHING, this.#count + 1);
    this.#mean += (value - this.#mean) / this.#count;
  }
}
