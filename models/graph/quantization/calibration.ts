import type { Graph } from '../graph.ts';
import { GraphError, valueNamed } from '../graph.ts';
import type { ActivationRanges, Calibrated, ChannelMeans } from './calibrated.ts';
import { CalibrationError } from './calibrated.ts';
import type { RangeEstimator } from './estimators.ts';
import { Histogram } from './histogram.ts';
import { planQuantization } from './plan.ts';

/** Sums of a value's channels, and how many numbers went into each. */
interface ChannelSums {
  readonly sums: Float64Array;
  count: number;
}

/** Gathers what values of a network are on samples, and makes of it what `quantize` needs to know. */
export class Calibration {
  /**
   * The network as it was given, but every value that has to be observed is an output: to be run on samples in single precision.
   */
  readonly graph: Graph;
  readonly #histograms: ReadonlyMap<string, Histogram>;
  readonly #channels: ReadonlyMap<string, ChannelSums>;

  /** @param graph lowered, as `quantize` takes it */
  constructor(graph: Graph) {
    const { graph: planned, observed, integer } = planQuantization(graph);
    const convolved = planned.nodes.flatMap((node) =>
      node.op === 'conv' && integer.has(node.name) ? node.inputs : [],
    );
    const names = [...new Set([...observed, ...convolved])];
    this.graph = { ...graph, outputs: names.map((name) => valueNamed(graph, name)) };
    this.#histograms = new Map(observed.map((name) => [name, new Histogram()]));
    this.#channels = new Map(
      convolved.map((name) => [
        name,
        { sums: new Float64Array(valueNamed(graph, name).shape[0] ?? 0), count: 0 },
      ]),
    );
  }

  /**
   * Takes in what one value is for one sample.
   * @param data [channels, height, width], the sizes as they come
   * @throws GraphError where the value is none of `graph.outputs`, or a range is asked for and a number of it is not finite
   */
  observe(name: string, data: Float32Array): void {
    const histogram = this.#histograms.get(name);
    const channels = this.#channels.get(name);
    if (!histogram && !channels) throw new GraphError(`'${name}' is no value that calibration asks for`);
    try {
      histogram?.add(data);
    } catch (error) {
      throw new GraphError(`'${name}' cannot be calibrated: ${(error as Error).message}`);
    }
    if (!channels) return;
    const { sums } = channels;
    const plane = data.length / sums.length;
    for (let channel = 0, at = 0; channel < sums.length; channel++) {
      let sum = 0;
      for (let i = 0; i < plane; i++, at++) sum += data[at] as number;
      sums[channel] = (sums[channel] as number) + sum;
    }
    channels.count += plane;
  }

  /** @throws CalibrationError naming a value that was never observed */
  calibrated(estimate: RangeEstimator): Calibrated {
    return { ranges: this.ranges(estimate), means: this.means() };
  }

  ranges(estimate: RangeEstimator): ActivationRanges {
    return new Map(
      [...this.#histograms].map(([name, histogram]) => {
        if (histogram.total === 0) throw new CalibrationError(`'${name}' was never observed`);
        return [name, estimate(histogram)];
      }),
    );
  }

  means(): ChannelMeans {
    return new Map(
      [...this.#channels].map(([name, { sums, count }]) => {
        if (count === 0) throw new CalibrationError(`'${name}' was never observed`);
        return [name, Array.from(sums, (sum) => sum / count)];
      }),
    );
  }
}
