/**
 * That class columns and box corners mean what the reference says they mean shows only on photos with ground
 * truth: ../shared/eval holds some of COCO val2017.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { loadTfjsDetector } from './tfjs.ts';

interface Instances {
  images: { id: number; file_name: string }[];
  annotations: { image_id: number; category_id: number; bbox: [number, number, number, number] }[];
}

const folder = join('..', 'shared', 'eval');

/** Intersection over union of two boxes x, y, width, height. */
function overlap(a: readonly number[], b: readonly number[]): number {
  const [ax, ay, aw, ah] = a as [number, number, number, number];
  const [bx, by, bw, bh] = b as [number, number, number, number];
  const width = Math.max(0, Math.min(ax + aw, bx + bw) - Math.max(ax, bx));
  const height = Math.max(0, Math.min(ay + ah, by + bh) - Math.max(ay, by));
  return (width * height) / (aw * ah + bw * bh - width * height);
}

test('confident detections name an annotated object of COCO and lie on it', async () => {
  const truth = JSON.parse(await readFile(join(folder, 'instances.json'), 'utf8')) as Instances;
  const detector = await loadTfjsDetector();
  let confident = 0;
  const wrong: string[] = [];
  for (const image of truth.images.slice(0, 20)) {
    const { data, info } = await sharp(join(folder, 'images', image.file_name))
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const { boxes, scores } = await detector.detect(data, info.width, info.height);
    const best = scores.reduce((at, score, i) => (score > scores[at]! ? i : at), 0);
    if (scores[best]! < 0.8) continue;
    confident++;
    const anchor = Math.floor(best / 90) * 4;
    const [top, left, bottom, right] = boxes.subarray(anchor, anchor + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const box = [
      left * info.width,
      top * info.height,
      (right - left) * info.width,
      (bottom - top) * info.height,
    ];
    const category = (best % 90) + 1;
    const found = truth.annotations.some(
      (object) =>
        object.image_id === image.id && object.category_id === category && overlap(object.bbox, box) > 0.5,
    );
    if (!found) wrong.push(`${image.file_name}: category ${category} at ${box.map(Math.round).join(' ')}`);
  }
  assert.ok(confident >= 10, `${confident} photos with a detection above 0.8`);
  // One in ten may be wrong: that is the network's own accuracy at this confidence, not the reading of it.
  assert.ok(wrong.length <= confident / 10, wrong.join('\n'));
});
