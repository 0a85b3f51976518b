/**
 * What a segmentation network should be shown of a photo that is not square: the photo alone, resized in proportion to sides
 * at which logits and pixels align (what the server does), or padded to the square as references evaluate; and what looking
 * mirrored and at six scales brings. Mean IoU, work and CPU time (decoding included) a photo; the forms take turns on every photo.
 *   node dist/bench/segmentation_input.js --images DIR --masks DIR [--models A,B] [--views] [--json]
 * Masks are grey or palette PNGs of class ids, named as the photos. --views adds the mirrored and the multi-scale forms.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, parse } from 'node:path';
import { parseArgs } from 'node:util';
import { decode } from 'fast-png';
import { ConfusionMatrix } from '../heads/deeplabv3/mean_iou.ts';
import type { ViewOptions } from '../server/inference/protocol.ts';
import { classMapOf } from '../server/inference/segment_answer.ts';
import { Segmenter } from '../server/inference/segmenter.ts';
import { readSettings } from '../server/settings.ts';
import { catalog } from '../server/zoo/catalog.ts';
import { ModelStore } from '../server/zoo/store.ts';
import { median } from './support/statistics.ts';

const { values: options } = parseArgs({
  options: {
    images: { type: 'string' },
    masks: { type: 'string' },
    models: { type: 'string' },
    views: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const { images, masks } = options;
if (!images || !masks) throw new Error('--images and --masks name the folders of photos and of their masks');

const plain = { multiScale: false, flip: false };
const FORMS: Readonly<Record<string, ViewOptions>> = {
  fitted: plain,
  padded: { ...plain, padded: true },
  ...(options.views && {
    'fitted, flip': { ...plain, flip: true },
    'fitted, multi-scale': { ...plain, multiScale: true },
    'fitted, multi-scale, flip': { multiScale: true, flip: true },
  }),
};

const photos = new Map(readdirSync(images).map((file) => [parse(file).name, join(images, file)]));
const pairs = readdirSync(masks).map((file) => ({
  mask: join(masks, file),
  photo: photos.get(parse(file).name) ?? '',
}));
const wanted = options.models?.split(',');
const records = catalog.filter(
  ({ name, task }) => task === 'segmentation' && (wanted?.includes(name) ?? true),
);
const { home, maxImagePixels: maxPixels } = readSettings({}, process.env);

const results = [];
for (const record of records) {
  const segmenter = await Segmenter.open(record, new ModelStore(home), { threads: 1 });
  const forms = Object.entries(FORMS).map(([form, views]) => ({
    form,
    views,
    matrix: new ConfusionMatrix(record.classColumns),
    cpu: [] as number[],
    madds: 0,
  }));
  for (const { photo, mask } of pairs) {
    const bytes = readFileSync(photo);
    const truth = Uint8Array.from(decode(readFileSync(mask)).data);
    for (const each of forms) {
      const before = process.cpuUsage();
      const found = await segmenter.segment(bytes, each.views, { maxPixels });
      const map = classMapOf(found, record);
      const { user, system } = process.cpuUsage(before);
      each.cpu.push((user + system) / 1000);
      each.madds += found.madds / pairs.length;
      each.matrix.add(truth, map);
    }
  }
  for (const { form, matrix, cpu, madds } of forms) {
    const { mIoU, pixel_accuracy } = matrix.evaluate();
    results.push({ model: record.name, form, mIoU, pixel_accuracy, madds, cpu_ms: median(cpu) });
  }
  await segmenter.close();
}

const machine = { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version };
const date = new Date().toISOString().slice(0, 10);
if (options.json) {
  console.log(JSON.stringify({ date, machine, photos: pairs.length, results }, null, 2));
} else {
  console.log(`${date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, ${pairs.length} photos`);
  for (const { model, form, mIoU, pixel_accuracy, madds, cpu_ms } of results) {
    const figures = [
      `mIoU ${(100 * mIoU).toFixed(2)}`,
      `pixels ${(100 * pixel_accuracy).toFixed(2)}`,
      `${(madds / 1e6).toFixed(0)} M MAdds`,
      `${cpu_ms.toFixed(1)} ms CPU`,
    ];
    console.log(`${model.padEnd(28)} ${form.padEnd(26)} ${figures.join('  ')}`);
  }
}
