/**
 * Accuracy beside the reference: AP of thinlens and of TensorFlow.js running the same checkpoint with its own resize, on the
 * same photos, through the same postprocessing and evaluator.
 *   node dist/bench/accuracy.js --images DIR --annotations instances.json [--json]
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import type { CocoDetection } from '../heads/ssdlite/coco/detections.ts';
import { evaluateDetections } from '../heads/ssdlite/coco/evaluation.ts';
import { parseInstances } from '../heads/ssdlite/coco/instances.ts';
import { suppress } from '../heads/ssdlite/nms.ts';
import { Detector } from '../server/inference/detector.ts';
import { readSettings } from '../server/settings.ts';
import { catalog } from '../server/zoo/catalog.ts';
import { ModelStore } from '../server/zoo/store.ts';
import { loadTfjsDetector } from '../test/reference/tfjs.ts';

const { values: options } = parseArgs({
  options: {
    images: { type: 'string' },
    annotations: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (!options.images || !options.annotations)
  throw new Error('--images DIR and --annotations FILE are needed');

const SCORE_THRESHOLD = 0.001;
const IOU_THRESHOLD = 0.6;
const MAX_DETECTIONS = 100;

const instances = parseInstances(
  JSON.parse(await readFile(options.annotations, 'utf8')),
  options.annotations,
);
const [record] = catalog;
if (!record) throw new Error('the catalog is empty');
const known = new Set(record.labels.map(({ classId }) => classId));
const settings = readSettings({}, process.env);
const ours = await Detector.open(record, new ModelStore(settings.home), { threads: 1 });
const theirs = await loadTfjsDetector();
const found = { thinlens: [] as CocoDetection[], tfjs: [] as CocoDetection[] };

for (const [done, { id, file_name }] of instances.images.entries()) {
  const encoded = await readFile(join(options.images, file_name));
  const { objects } = await ours.detect(
    { kind: 'encoded', bytes: encoded },
    {
      scoreThreshold: SCORE_THRESHOLD,
      iouThreshold: IOU_THRESHOLD,
      maxDetections: MAX_DETECTIONS,
      agnosticNms: false,
    },
    { maxPixels: settings.maxImagePixels },
  );
  for (const { classId, score, box } of objects) {
    const bbox = [box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min] as const;
    found.thinlens.push({ image_id: id, category_id: classId, bbox, score });
  }

  const { data, info } = await sharp(encoded)
    .rotate()
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const { boxes, scores } = await theirs.detect(data, width, height);
  const columns = scores.length / (boxes.length / 4);
  const candidates = Array.from(scores.keys())
    .filter((i) => (scores[i] as number) >= SCORE_THRESHOLD && known.has((i % columns) + 1))
    .sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const sorted = Float64Array.from(
    candidates.flatMap((i) => [
      ...boxes.subarray(Math.floor(i / columns) * 4, Math.floor(i / columns) * 4 + 4),
    ]),
  );
  const classes = Int32Array.from(candidates, (i) => (i % columns) + 1);
  for (const index of suppress(sorted, classes, IOU_THRESHOLD, MAX_DETECTIONS)) {
    const clip = (value: number) => Math.min(1, Math.max(0, value));
    const [yMin = 0, xMin = 0, yMax = 0, xMax = 0] = Array.from(
      sorted.subarray(index * 4, index * 4 + 4),
      clip,
    );
    found.tfjs.push({
      image_id: id,
      category_id: classes[index] as number,
      bbox: [xMin * width, yMin * height, (xMax - xMin) * width, (yMax - yMin) * height],
      score: scores[candidates[index] as number] as number,
    });
  }
  if ((done + 1) % 25 === 0) console.error(`${done + 1} of ${instances.images.length} images`);
}
await ours.close();

const thinlens = evaluateDetections(instances, found.thinlens).summary;
const tfjs = evaluateDetections(instances, found.tfjs).summary;
if (options.json) {
  console.log(
    JSON.stringify(
      { images: instances.images.length, thinlens, tfjs, difference: thinlens.AP - tfjs.AP },
      null,
      2,
    ),
  );
} else {
  console.log(`${instances.images.length} images of ${options.annotations}`);
  for (const key of ['AP', 'AP50', 'AP75', 'AP_small', 'AP_medium', 'AP_large', 'AR_100'] as const) {
    console.log(
      `${key.padEnd(10)} thinlens ${(thinlens[key] * 100).toFixed(2)}  TensorFlow.js ${(tfjs[key] * 100).toFixed(2)}`,
    );
  }
}
