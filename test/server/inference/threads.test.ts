// Workers in threads, which bench/ compares with processes, answer as processes do.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { spawnProcess, spawnThread } from '../../../server/inference/channel.ts';
import type { Job } from '../../../server/inference/pool.ts';
import { WorkerPool } from '../../../server/inference/pool.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { sample } from '../harness.ts';

const NAMES = ['ssdlite_mobilenet_v2_coco', 'deeplabv3_mobilenet_v2_voc'] as const;
const home = await mkdtemp(join(tmpdir(), 'thinlens-threads-'));
after(() => rm(home, { recursive: true, force: true }));

test('a photo gets the same boxes and the same masks of a thread as of a process', async () => {
  const photo = { kind: 'encoded' as const, bytes: await sample('cat') };
  const detect: Job<'detect'> = {
    task: 'detect',
    model: NAMES[0],
    precision: 'fp32',
    photo,
    options: { scoreThreshold: 0.3, iouThreshold: 0.6, maxDetections: 100, agnosticNms: false },
    pixels: 0,
  };
  const form = { kind: 'json' as const, masks: 'rle' as const, tolerance: 0, confidence: false };
  const segment: Job<'segment'> = {
    task: 'segment',
    model: NAMES[1],
    precision: 'fp32',
    photo,
    options: { multiScale: false, flip: false, form },
    pixels: 0,
  };
  const found: unknown[] = [];
  for (const spawn of [spawnProcess, spawnThread]) {
    const pool = new WorkerPool({
      workers: 1,
      queue: { images: 10, bytes: 1e9, pixels: 1e9 },
      jobTimeoutMs: 60_000,
      load: {
        models: catalog.filter(({ name }) => NAMES.some((wanted) => wanted === name)),
        home,
        threads: 1,
        precision: 'fp32',
        limits: { maxPixels: 1e7 },
      },
      spawn,
    });
    await pool.start();
    const [boxes] = await Promise.all(pool.submit<'detect'>([detect]));
    const [masks] = await Promise.all(pool.submit<'segment'>([segment]));
    pool.close();
    const { segments } = JSON.parse(`{${Buffer.from(masks?.body ?? assert.fail()).toString()}}`);
    assert.equal(segments[0].label, 'cat');
    found.push([boxes?.objects, boxes?.image, segments, masks.image, masks.input, masks.madds]);
  }
  assert.deepEqual(found[1], found[0]);
});
