// Masks of photos that were turned or mirrored, against those of the photos as they are. Figures are printed.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import type { ViewOptions } from '../../../server/inference/protocol.ts';
import { classMapOf } from '../../../server/inference/segment_answer.ts';
import { Segmenter } from '../../../server/inference/segmenter.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { home } from '../child.ts';

const PHOTOS = '../shared/eval/images';
const COUNT = 30;
/** Classes that cover less of a photo than this are left out: a few pixels make all of their difference. */
const SHARE = 0.02;
const PLAIN = { multiScale: false, flip: false };

interface ClassMap {
  readonly map: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** IoU of every class that covers enough of `a`. */
function agreements(a: ClassMap, b: ClassMap): number[] {
  assert.deepEqual([b.width, b.height], [a.width, a.height]);
  const [inA, inB, both] = [new Float64Array(256), new Float64Array(256), new Float64Array(256)];
  a.map.forEach((classId, at) => {
    const other = b.map[at] as number;
    inA[classId]!++;
    inB[other]!++;
    if (classId === other) both[classId]!++;
  });
  return Array.from(inA).flatMap((count, classId) =>
    count >= SHARE * a.map.length ? [both[classId]! / (count + inB[classId]! - both[classId]!)] : [],
  );
}

function mirrored({ map, width, height }: ClassMap): ClassMap {
  const result = new Uint8Array(map.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) result[y * width + x] = map[y * width + width - 1 - x] as number;
  return { map: result, width, height };
}

const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.floor(share * (sorted.length - 1))] as number;

/** Sorted, and printed. */
function figures(what: string, found: readonly number[]): number[] {
  assert.ok(found.length >= COUNT, `${what}: ${found.length} classes of ${COUNT} photos`);
  const sorted = found.toSorted((a, b) => a - b);
  const shown = [0, 0.05, 0.1, 0.25, 0.5].map((share) => quantile(sorted, share).toFixed(3));
  console.log(
    `${what}: IoU of ${sorted.length} classes, least, 5 %, 10 %, 25 %, median: ${shown.join(', ')}`,
  );
  return sorted;
}

const photos = readdirSync(PHOTOS)
  .slice(0, COUNT)
  .map((file) => readFileSync(join(PHOTOS, file)));

describe('turned and mirrored photos', () => {
  for (const record of catalog.filter(({ task }) => task === 'segmentation')) {
    test(record.name, async () => {
      const segmenter = await Segmenter.open(record, new ModelStore(home), { threads: 1 });
      const look = async (bytes: Uint8Array, options: ViewOptions = PLAIN): Promise<ClassMap> => {
        const found = await segmenter.segment(bytes, options, { maxPixels: 50e6 });
        return { map: classMapOf(found, record), ...found.image };
      };
      const [turnedBack, mirroredBack, averaged]: number[][] = [[], [], []];
      for (const photo of photos) {
        // Copies without loss: what differs is the way that the pixels come in.
        const png = sharp(photo).png({ compressionLevel: 0 });
        const upright = await png.toBuffer();
        const turned = await sharp(upright)
          .rotate(270)
          .withMetadata({ orientation: 6 })
          .png({ compressionLevel: 0 })
          .toBuffer();
        const flopped = await sharp(upright).flop().png({ compressionLevel: 0 }).toBuffer();
        const seen = await look(upright);
        turnedBack!.push(...agreements(seen, await look(turned)));
        mirroredBack!.push(...agreements(seen, mirrored(await look(flopped))));
        const flip = { ...PLAIN, flip: true };
        averaged!.push(...agreements(await look(upright, flip), mirrored(await look(flopped, flip))));
      }
      await segmenter.close();
      const byExif = figures(`${record.name}, turned by EXIF`, turnedBack!);
      assert.ok(quantile(byExif, 0.1) > 0.97, 'nine of ten classes keep their pixels');
      const byMirror = figures(`${record.name}, mirrored`, mirroredBack!);
      assert.ok(quantile(byMirror, 0.5) > 0.85, 'half of the classes keep most of their pixels');
      const byBoth = figures(`${record.name}, mirrored, flip=true`, averaged!);
      assert.ok((byBoth[0] as number) > 0.95, 'every class keeps its pixels');
    });
  }
});
