/**
 * From logits to a class map and its encodings: CPU time of each step, on photos of 640x480 and of 12
 * megapixels, and the memory that they add to a process's peak; and several views averaged.
 *   node dist/bench/class_map.js [--logits FILE.safetensors] [--rounds N] [--json]
 * Without --logits, logits are soft blobs of six classes over background. A file's tensor `logits` must be
 * [1, 21, 33, 33], of a square photo of 513x513, and is stretched over the photos.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { classMap } from '../heads/deeplabv3/class_map.ts';
import { confidenceMap } from '../heads/deeplabv3/confidence.ts';
import { gridMapping } from '../heads/deeplabv3/grid_mapping.ts';
import type { LogitMap } from '../heads/deeplabv3/logits.ts';
import { encodeMaskPng, encodePalettePng } from '../heads/deeplabv3/png.ts';
import { type Polygon, polygons } from '../heads/deeplabv3/polygons.ts';
import { compressCounts, encodeRle } from '../heads/deeplabv3/rle.ts';
import { rowRuns } from '../heads/deeplabv3/row_runs.ts';
import type { Size } from '../heads/deeplabv3/size.ts';
import { summarizeClasses } from '../heads/deeplabv3/summary.ts';
import { averageViews, commonGrid } from '../heads/deeplabv3/views.ts';
import { VOC_COLORS } from '../heads/deeplabv3/voc_colors.ts';
import { blobLogits } from '../test/heads/deeplabv3/dense.ts';
import { readFixture } from '../test/safetensors.ts';
import { median } from './support/statistics.ts';

const { values: options } = parseArgs({
  options: {
    logits: { type: 'string' },
    rounds: { type: 'string', default: '15' },
    json: { type: 'boolean', default: false },
    // How the benchmark runs itself, in a process without a past.
    peak: { type: 'string' },
  },
});

function readLogits(): LogitMap {
  if (!options.logits) return withFewBlobs(blobLogits(4, 21, 33, 33));
  const tensor = readFixture(options.logits).get('logits');
  if (!(tensor?.data instanceof Float32Array)) throw new Error(`${options.logits} holds no tensor 'logits'`);
  const [, classes = 0, height = 0, width = 0] = tensor.shape;
  return { data: tensor.data, classes, height, width };
}

/** Six of the twenty objects, as a photo has rather than all; the others stay below everything. */
function withFewBlobs(logits: LogitMap): LogitMap {
  logits.data.fill(-5, 7 * logits.height * logits.width);
  return logits;
}

/** Median CPU milliseconds of one call. */
function measure(work: () => unknown): number {
  for (let i = 0; i < 10; i++) work();
  return median(
    Array.from({ length: Number(options.rounds) }, () => {
      const before = process.cpuUsage();
      work();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    }),
  );
}

/** What makes an answer of a class map. */
const ANSWERS = {
  'class map': () => {},
  'palette PNG': (map: Uint8Array, photo: Size) => encodePalettePng(map, photo, VOC_COLORS),
  'RLE of all classes': (map: Uint8Array, photo: Size) => {
    const runs = rowRuns(map, photo);
    return summarizeClasses(runs).map(({ class_id }) => compressCounts(encodeRle(runs, class_id).counts));
  },
  'mask PNGs of all classes': (map: Uint8Array, photo: Size) =>
    summarizeClasses(rowRuns(map, photo)).map(({ class_id }) => encodeMaskPng(map, photo, class_id)),
} as const;

/** Bytes, of this process alone: what getrusage tells is no less than the parent had. Linux. */
function peakRss(): number {
  const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

/** Bytes a pixel of 12 megapixels that `answer` adds to this process's peak, after the same of 640x480. */
function peakOf(answer: keyof typeof ANSWERS): number {
  const [small, large] = photos;
  const work = (photo: Size) => {
    const mapping = gridMapping({ photo, resized: input, input, grid: logits, alignCorners: true });
    ANSWERS[answer](classMap(logits, mapping, photo), photo);
  };
  work(small);
  const before = peakRss();
  work(large);
  return (peakRss() - before) / (large.width * large.height);
}

async function peaks(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const answer of Object.keys(ANSWERS)) {
    const args = ['--peak', answer, ...(options.logits ? ['--logits', options.logits] : [])];
    const [bytes] = await once(fork(fileURLToPath(import.meta.url), args), 'message');
    found[answer] = bytes as number;
  }
  return found;
}

const TOLERANCES = [0, 1, 2];

const countCorners = (found: readonly (readonly Polygon[])[]) =>
  found.flat().reduce((sum, { outer, holes }) => sum + [outer, ...holes].flat().length / 2, 0);

const logits = readLogits();
const photos = [
  { width: 640, height: 480 },
  { width: 4000, height: 3000 },
] as const;
const input = { height: 513, width: 513 };
if (options.peak) {
  process.send?.(peakOf(options.peak as keyof typeof ANSWERS));
  process.exit();
}
const results = photos.map((photo) => {
  const mapping = gridMapping({ photo, resized: input, input, grid: logits, alignCorners: true });
  const map = classMap(logits, mapping, photo);
  const runs = rowRuns(map, photo);
  const classes = summarizeClasses(runs).map(({ class_id }) => class_id);
  const outlines = (tolerance: number) => classes.map((classId) => polygons(runs, classId, { tolerance }));
  return {
    photo: `${photo.width}x${photo.height}`,
    classes: classes.length,
    palettePngBytes: encodePalettePng(map, photo, VOC_COLORS).length,
    corners: Object.fromEntries(
      TOLERANCES.map((tolerance) => [tolerance, countCorners(outlines(tolerance))]),
    ),
    milliseconds: {
      'class map': measure(() => classMap(logits, mapping, photo)),
      'confidence map': measure(() => confidenceMap(logits, mapping, photo)),
      "rows' runs of the map": measure(() => rowRuns(map, photo)),
      'summary of the runs': measure(() => summarizeClasses(runs)),
      'RLE of all classes': measure(() =>
        classes.map((classId) => compressCounts(encodeRle(runs, classId).counts)),
      ),
      ...Object.fromEntries(
        TOLERANCES.map((tolerance) => [
          `polygons of all classes, tolerance ${tolerance}`,
          measure(() => outlines(tolerance)),
        ]),
      ),
      'palette PNG': measure(() => encodePalettePng(map, photo, VOC_COLORS)),
      'mask PNG of one class': measure(() => encodeMaskPng(map, photo, classes[0])),
    } as Record<string, number>,
  };
});

/**
 * Six scales, plain and mirrored, of blobs in a photo of 640x480, averaged on grids of a point for every so
 * many input pixels.
 */
function measureViews() {
  const photo = { height: 480, width: 640 };
  const resized = { height: 385, width: 513 };
  const scenes = [0.5, 0.75, 1, 1.25, 1.5, 1.75].flatMap((scale) => {
    const points = 32 * scale + 1;
    return [false, true].map((mirrored) => {
      const seen = withFewBlobs(blobLogits(4, 21, points, points));
      const { data } = seen;
      if (mirrored) for (let at = 0; at < data.length; at += points) data.subarray(at, at + points).reverse();
      return { logits: seen, mirrored, side: 512 * scale + 1 };
    });
  });
  const found = [1, 2, 4, 8].map((spacing) => {
    const grid = commonGrid(photo, resized, spacing);
    const average = () =>
      averageViews(
        scenes.map(({ logits: seen, mirrored, side }) => {
          const square = { height: side, width: side };
          const own = { height: Math.round((side * 385) / 513), width: side };
          return {
            logits: seen,
            mapping: gridMapping({
              photo: grid,
              resized: own,
              input: square,
              grid: seen,
              alignCorners: true,
              mirrored,
            }),
          };
        }),
        grid,
      );
    const map = classMap(average(), grid.mapping, photo);
    return { spacing, map, milliseconds: measure(average) };
  });
  const exact = found[0].map;
  return found.map(({ spacing, map, milliseconds }) => {
    const different = map.reduce((count, classId, at) => count + (classId === exact[at] ? 0 : 1), 0);
    return { spacing, milliseconds, different: different / map.length };
  });
}
const views = measureViews();
const peakBytes = await peaks();

const machine = { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version };
const date = new Date().toISOString().slice(0, 10);
if (options.json) {
  console.log(
    JSON.stringify({ date, machine, logits: options.logits ?? 'blobs', results, peakBytes, views }, null, 2),
  );
} else {
  console.log(
    `${date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, logits: ${options.logits ?? 'blobs'}`,
  );
  for (const { photo, classes, corners, palettePngBytes, milliseconds } of results) {
    console.log(
      `${photo}, ${classes} classes, corners by tolerance ${JSON.stringify(corners)}, palette PNG ${palettePngBytes} bytes, CPU ms:`,
    );
    for (const [step, ms] of Object.entries(milliseconds))
      console.log(`  ${step.padEnd(40)} ${ms.toFixed(2)}`);
  }
  console.log('Bytes a pixel that a photo of 12 megapixels adds to the peak:');
  for (const [answer, bytes] of Object.entries(peakBytes))
    console.log(`  ${answer.padEnd(40)} ${bytes.toFixed(2)}`);
  console.log('12 views averaged, 640x480:');
  for (const { spacing, milliseconds, different } of views) {
    console.log(
      `  a point for every ${spacing} input pixels: ${milliseconds.toFixed(1)} ms, ${(different * 100).toFixed(3)} % of the pixels different`,
    );
  }
}
