import { type AxisSamples, type GridMapping, gridMapping, sampleAxis } from './grid_mapping.ts';
import { checkLogits, type LogitMap } from './logits.ts';
import type { Size } from './size.ts';

/** What the network said of one version of a photo: at another scale, mirrored. */
export interface View {
  readonly logits: LogitMap;
  /**
   * From the points of the common grid, as if they were the pixels of a photo of that size, to the points of
   * `logits`.
   */
  readonly mapping: GridMapping;
}

/**
 * Evaluation at several scales and mirrored: of every view the softmax probabilities, averaged at the points
 * of a common grid. Returned as logarithms, so that the result is a map of logits like any other: its softmax
 * is the average.
 *
 * The reference upsamples each view's logits to the input's pixels, takes softmax, averages, and takes the
 * argmax there: tensorflow/models research/deeplab/model.py (predict_labels_multi_scale). With a `grid` of
 * the resized photo's pixels this is that same computation. A coarser grid costs
 * as much less as it has fewer points, and between its points the logarithms are interpolated. That loses
 * little, because logits are what a network's output is interpolated in anyway; a single view, or equal ones,
 * come out as they went in, up to a number for each point that all classes have in common.
 *
 * Work: one exponential for each point, class and view. Memory: 4 bytes for each point and class.
 * @returns [classes, grid.height, grid.width]
 * @throws RangeError if there is no view, or views differ in their classes or hold no proper logits
 */
export function averageViews(views: readonly View[], grid: Size): LogitMap {
  const classes = views[0]?.logits.classes;
  if (classes === undefined) throw new RangeError('there is no view to average');
  for (const { logits } of views) {
    checkLogits(logits);
    if (logits.classes !== classes)
      throw new RangeError(`views of ${classes} and of ${logits.classes} classes do not go together`);
  }
  const { height, width } = grid;
  const data = new Float32Array(classes * height * width);
  for (const { logits, mapping } of views) {
    const rows = sampleAxis(mapping.y, height, logits.height);
    const columns = sampleAxis(mapping.x, width, logits.width);
    const line = new Float64Array(logits.width * classes);
    const values = new Float64Array(classes);
    for (let y = 0; y < height; y++) {
      interpolateRow(logits, rows, y, line);
      for (let x = 0; x < width; x++)
        addProbabilities(line, columns, x, logits.width, values, data, y * width + x);
    }
  }
  for (let i = 0; i < data.length; i++) data[i] = Math.log(Math.max(LEAST, data[i] / views.length));
  return { data, classes, height, width };
}

/** Probabilities below this are taken for it, so that every logarithm is finite: e^-40. */
const LEAST = Math.exp(-40);

/** All points of one row between two rows of logits. @param out [width, classes] */
function interpolateRow(logits: LogitMap, rows: AxisSamples, y: number, out: Float64Array): void {
  const { data, classes, height, width } = logits;
  const weight = rows.weight[y];
  const down = rows.point[y] + 1 < height ? width : 0;
  for (let c = 0; c < classes; c++) {
    const from = (c * height + rows.point[y]) * width;
    for (let x = 0; x < width; x++)
      out[x * classes + c] = data[from + x] * (1 - weight) + data[from + x + down] * weight;
  }
}

/** Adds the softmax at one point of the grid. @param data [classes, points] @param point in data */
function addProbabilities(
  line: Float64Array,
  columns: AxisSamples,
  x: number,
  width: number,
  values: Float64Array,
  data: Float32Array,
  point: number,
): void {
  const classes = values.length;
  const weight = columns.weight[x];
  const left = columns.point[x] * classes;
  const right = columns.point[x] + 1 < width ? left + classes : left;
  let most = -Infinity;
  for (let c = 0; c < classes; c++) {
    const value = line[left + c] * (1 - weight) + line[right + c] * weight;
    values[c] = value;
    if (value > most) most = value;
  }
  let sum = 0;
  for (let c = 0; c < classes; c++) {
    values[c] = Math.exp(values[c] - most);
    sum += values[c];
  }
  const points = data.length / classes;
  for (let c = 0; c < classes; c++) data[c * points + point] += values[c] / sum;
}

/**
 * A grid for averageViews with a point for every `spacing` pixels of the resized photo, rounded up in both
 * directions, and where the photo's pixels lie on it.
 */
export function commonGrid(photo: Size, resized: Size, spacing: number): Size & { mapping: GridMapping } {
  const grid = { height: Math.ceil(resized.height / spacing), width: Math.ceil(resized.width / spacing) };
  // Points in the middle of equal parts of the photo, as if it had been resized to so many pixels.
  const mapping = gridMapping({ photo, resized: grid, input: grid, grid, alignCorners: true });
  return { ...grid, mapping };
}
