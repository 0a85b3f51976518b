/**
 * The floor: sharp and onnxruntime-node doing the same decode, resize and run in a plain loop, no server around it. Told by
 * its parent how long; answers with photos and CPU seconds.
 */
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { RESIZE_KERNEL } from '../../server/image/decode.ts';
import { InferenceSession, Tensor } from '../../server/inference/onnx_runtime.ts';

export interface BareTask {
  readonly model: string;
  readonly files: readonly string[];
  readonly seconds: number;
}

export interface BareReport {
  readonly done: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
}

let session: InferenceSession | undefined;

process.on('message', async (task: BareTask) => {
  sharp.concurrency(1);
  sharp.cache(false);
  session ??= await InferenceSession.create(task.model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  const photos = task.files.map((file) => readFileSync(file));
  const latenciesMs: number[] = [];
  const cpu = process.cpuUsage();
  const started = performance.now();
  for (let i = 0; performance.now() - started < task.seconds * 1000; i++) {
    const before = performance.now();
    const pixels = await sharp(photos[i % photos.length], { failOn: 'error' })
      .resize(300, 300, { fit: 'fill', kernel: RESIZE_KERNEL })
      .toColourspace('srgb')
      .raw()
      .toBuffer();
    await session.run({ pixels: new Tensor('uint8', pixels, [1, 300, 300, 3]) });
    latenciesMs.push(performance.now() - before);
  }
  const { user, system } = process.cpuUsage(cpu);
  const report: BareReport = {
    done: latenciesMs.length,
    cpuSeconds: (user + system) / 1e6,
    seconds: (performance.now() - started) / 1000,
    latenciesMs,
  };
  process.send?.(report);
});
