/** Numbers by the name of the output that they are of. */
export type Samples = ReadonlyMap<string, ArrayLike<number>>;

/** How much larger what a network should give is than the difference to what it gives, over any number of runs. */
export class NoiseMeter {
  readonly #sums = new Map<string, { signal: number; noise: number }>();

  /** @throws RangeError where the outputs are others than those they are compared with, or have other lengths */
  add(actual: Samples, reference: Samples): void {
    if (actual.size !== reference.size) {
      throw new RangeError(`there are ${actual.size} outputs, and ${reference.size} to compare them with`);
    }
    for (const [name, expected] of reference) {
      const found = actual.get(name);
      if (found?.length !== expected.length) {
        throw new RangeError(
          `'${name}' has ${found?.length ?? 'no'} numbers, and ${expected.length} to compare them with`,
        );
      }
      const sum = this.#sums.get(name) ?? { signal: 0, noise: 0 };
      this.#sums.set(name, sum);
      for (let i = 0; i < expected.length; i++) {
        sum.signal += (expected[i] as number) ** 2;
        sum.noise += ((found[i] as number) - (expected[i] as number)) ** 2;
      }
    }
  }

  /** Of the output where it is least: infinite where nothing differs, NaN where a number is. */
  get decibels(): number {
    const each = [...this.#sums.values()].map(({ signal, noise }) =>
      noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise),
    );
    return Math.min(...each);
  }
}
