/**
 * The reference has to be sound before anything is measured against it: the nodes it reads must be what their
 * documentation says. Everything expected here is worked out in this file, in double precision.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { memory } from '@tensorflow/tfjs-core';
import { smoothNoise, uniformNoise } from './noise.ts';
import type { TfjsDetector } from './tfjs.ts';
import { loadTfjsDetector } from './tfjs.ts';

/** Largest absolute difference of two lists; Infinity where lengths differ, NaN where a value is no number. */
function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  return Array.from(actual, (value, i) => Math.abs(value - expected[i]!)).reduce((a, b) => Math.max(a, b), 0);
}

/**
 * The 1917 anchors [cy, cx, height, width] of the TensorFlow object detection API's SSD anchor generator
 * (ssd_anchor_generator with min_scale 0.2, max_scale 0.95, reduce_boxes_in_lowest_layer).
 */
function anchors(): [number, number, number, number][] {
  const scales = [0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1];
  return [19, 10, 5, 3, 2, 1].flatMap((grid, level) => {
    const scale = scales[level]!;
    const shapes: [number, number][] =
      level === 0
        ? [
            [0.1, 1],
            [scale, 2],
            [scale, 0.5],
          ]
        : [
            ...[1, 2, 0.5, 3, 0.3333].map((aspect): [number, number] => [scale, aspect]),
            [Math.sqrt(scale * scales[level + 1]!), 1],
          ];
    return Array.from({ length: grid * grid }, (_, cell) =>
      shapes.map(([s, aspect]): [number, number, number, number] => [
        (Math.floor(cell / grid) + 0.5) / grid,
        ((cell % grid) + 0.5) / grid,
        s / Math.sqrt(aspect),
        s * Math.sqrt(aspect),
      ]),
    ).flat();
  });
}

/** ymin xmin ymax xmax of boxes given by centre and size. */
function corners(boxes: [number, number, number, number][]): number[] {
  return boxes.flatMap(([cy, cx, h, w]) => [cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2]);
}

/** The Faster R-CNN box coder with scales 10, 10, 5, 5. */
function decode(encodings: Float32Array): number[] {
  return corners(
    anchors().map(([cy, cx, h, w], i) => {
      const [ty, tx, th, tw] = encodings.subarray(i * 4, i * 4 + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      return [cy + (ty / 10) * h, cx + (tx / 10) * w, h * Math.exp(th / 5), w * Math.exp(tw / 5)];
    }),
  );
}

/** Bilinear resize to 300x300 with TensorFlow's first convention: output pixel i reads input position i * in / out. */
function resizeFromTopLeft(rgb: Uint8Array, width: number, height: number): Float64Array {
  const out = new Float64Array(300 * 300 * 3);
  out.forEach((_, at) => {
    const y = (Math.floor(at / 900) * height) / 300;
    const x = ((Math.floor(at / 3) % 300) * width) / 300;
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const pixel = (row: number, column: number) =>
      rgb[(Math.min(row, height - 1) * width + Math.min(column, width - 1)) * 3 + (at % 3)]!;
    const mix = (a: number, b: number, part: number) => a + (b - a) * part;
    out[at] = mix(
      mix(pixel(top, left), pixel(top, left + 1), x - left),
      mix(pixel(top + 1, left), pixel(top + 1, left + 1), x - left),
      y - top,
    );
  });
  return out;
}

describe('TensorFlow.js as a reference', () => {
  let detector: TfjsDetector;
  before(async () => {
    detector = await loadTfjsDetector();
  });

  test('the graph holds the anchors of the SSD anchor generator', () => {
    // One unit in the last place of a float32 near 1.
    assert.ok(largestDifference(detector.anchors, corners(anchors())) < 2 ** -23);
  });

  const images: [string, Uint8Array][] = [
    ['smooth noise', smoothNoise(1)],
    ['uniform noise', uniformNoise(2)],
  ];
  for (const [name, pixels] of images) {
    test(`${name}: encodings, logits and scores belong together and agree with the graph's own boxes`, async () => {
      const { encodings, scores, logits } = await detector.run(pixels);
      const detected = await detector.detect(pixels, 300, 300);
      // A few units in the last place: the graph decodes in float32, here it is double.
      assert.ok(largestDifference(detected.boxes, decode(encodings)) < 1e-6);

      assert.equal(scores.length, 1917 * 91);
      assert.ok(scores.every((score) => score > 0 && score < 1));
      const sigmoid = Float64Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
      assert.ok(largestDifference(scores, sigmoid) < 1e-6);
      assert.deepEqual(
        detected.scores,
        scores.filter((_, i) => i % 91 !== 0),
      );
      // Background is the likely class nearly everywhere: column 0 is where it was trained to be.
      const background = scores.filter((_, i) => i % 91 === 0);
      assert.ok(background.filter((score) => score > 0.5).length > 1800);
    });
  }

  test('the preprocessor resizes from the top left corner and maps 0..255 to -1..1', async () => {
    for (const [width, height] of [
      [431, 277],
      [300, 300],
      [120, 640],
    ] as const) {
      const rgb = uniformNoise(3, width, height);
      const expected = resizeFromTopLeft(rgb, width, height).map((value) => value / 127.5 - 1);
      const actual = await detector.preprocess(rgb, width, height);
      // A twentieth of one step of a byte: the graph's float32 positions cost up to 1e-4 on noise, while pixel centres
      // at .5 (half_pixel_centers) would move values by many steps.
      assert.ok(largestDifference(actual, expected) < 4e-4, `${width}x${height}`);
    }
  });

  test('detect reads the photo through that preprocessor', async () => {
    const [width, height] = [500, 375];
    const rgb = smoothNoise(4, width, height, 40);
    const resized = Uint8Array.from(resizeFromTopLeft(rgb, width, height), Math.round);
    const whole = await detector.detect(rgb, width, height);
    const alone = await detector.run(resized);
    // Rounding to bytes is all that lies between the two.
    const foreground = alone.scores.filter((_, i) => i % 91 !== 0);
    assert.ok(largestDifference(whole.scores, foreground) < 0.05);
    const mirrored = await detector.detect(rgb.toReversed(), width, height);
    assert.ok(largestDifference(whole.scores, mirrored.scores) > 0.05);
  });

  test('no tensors stay behind', async () => {
    const rgb = smoothNoise(5, 200, 100);
    const { numTensors } = memory();
    for (let call = 0; call < 2; call++) {
      await detector.run(images[0]![1]);
      await detector.detect(rgb, 200, 100);
      await detector.preprocess(rgb, 200, 100);
      assert.equal(memory().numTensors, numTensors);
    }
  });

  test('pixels that do not fill the image are refused', async () => {
    const tooFew = new Uint8Array(300 * 300);
    await assert.rejects(detector.run(tooFew), /^RangeError: 300x300 RGB pixels are 270000 bytes.* 90000$/);
    await assert.rejects(detector.detect(tooFew, 100, 301), RangeError);
  });
});
