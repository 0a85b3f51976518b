import type { GridMapping } from '../../../heads/deeplabv3/grid_mapping.ts';
import type { LogitMap } from '../../../heads/deeplabv3/logits.ts';
import type { Size } from '../../../heads/deeplabv3/size.ts';
import { mulberry32 } from '../../reference/noise.ts';

/** Every class's logit at one pixel, interpolated the plain way. */
export function logitsAt(logits: LogitMap, mapping: GridMapping, y: number, x: number): number[] {
  const { data, classes, height, width } = logits;
  const place = ({ scale, offset, min, max }: GridMapping['x'], u: number, points: number) => {
    const at = Math.min(Math.max(scale * (u + 0.5) + offset, min, 0), max, points - 1);
    const low = Math.max(0, Math.min(Math.floor(at), points - 2));
    return { low, high: Math.min(low + 1, points - 1), weight: at - low };
  };
  const row = place(mapping.y, y, height);
  const column = place(mapping.x, x, width);
  return Array.from({ length: classes }, (_, c) => {
    const value = (r: number, k: number) => data[(c * height + r) * width + k];
    const left = value(row.low, column.low) * (1 - row.weight) + value(row.high, column.low) * row.weight;
    const right = value(row.low, column.high) * (1 - row.weight) + value(row.high, column.high) * row.weight;
    return left * (1 - column.weight) + right * column.weight;
  });
}

/** The class map without any shortcut. */
export function denseClassMap(logits: LogitMap, mapping: GridMapping, photo: Size): Uint8Array {
  return Uint8Array.from({ length: photo.height * photo.width }, (_, at) => {
    const values = logitsAt(logits, mapping, Math.floor(at / photo.width), at % photo.width);
    return values.indexOf(Math.max(...values));
  });
}

/** Softmax. */
export function probabilitiesOf(values: readonly number[]): number[] {
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/**
 * Logits of a soft blob per class, like a network's: background wherever no blob is. The seed alone decides
 * where the blobs are, so that maps of one seed and different sizes show one scene; each with noise of its
 * own.
 */
export function blobLogits(seed: number, classes: number, height: number, width: number): LogitMap {
  const random = mulberry32(seed);
  const data = new Float32Array(classes * height * width);
  const scene = Array.from({ length: classes }, () => [random(), random(), 0.1 + random() * 0.25] as const);
  for (const [c, [down, right, extent]] of scene.entries()) {
    const [cy, cx, size] = [down * (height - 1), right * (width - 1), extent * height];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const distance = Math.hypot(y - cy, x - cx) / size;
        const value = c === 0 ? 3 : 9 * Math.exp(-distance * distance) - 3;
        data[(c * height + y) * width + x] = value + random() * 0.5;
      }
    }
  }
  return { data, classes, height, width };
}

/** 0 or 1 a pixel: a few ellipses, some cut out again, and single pixels. [height, width] */
export function blobMask(seed: number, { height, width }: Size, specks = 5): Uint8Array {
  const random = mulberry32(seed);
  const mask = new Uint8Array(height * width);
  for (let i = 0; i < 6; i++) {
    const [cy, cx] = [random() * height, random() * width];
    const [ry, rx] = [1 + random() * height * 0.4, 1 + random() * width * 0.4];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++)
        if (Math.hypot((y - cy) / ry, (x - cx) / rx) < 1) mask[y * width + x] = i % 3 === 2 ? 0 : 1;
    }
  }
  for (let i = 0; i < specks; i++) mask[Math.floor(random() * mask.length)] ^= 1;
  return mask;
}
