/**
 * The floor: sharp and onnxruntime-node doing the same decode, resize and run in a plain loop, no server around it and nothing
 * made of what the network says. Told by its parent what to load, then how long to work; answers with photos and CPU seconds.
 */
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { alignedSide, fittedSize } from '../../heads/deeplabv3/input_size.ts';
import { RESIZE_KERNEL } from '../../server/image/decode.ts';
import { InferenceSession, Tensor } from '../../server/inference/onnx_runtime.ts';

export interface BareLoad {
  readonly kind: 'load';
  /** The .onnx file. */
  readonly model: string;
  readonly files: readonly string[];
  /** Pixels of the network's input. */
  readonly input: { readonly width: number; readonly height: number };
  /** Where a photo keeps its proportions, the pixels that its sides are aligned to. */
  readonly fittedTo?: number;
}

export interface BareWork {
  readonly kind: 'work';
  readonly seconds: number;
}

export interface BareReport {
  readonly done: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
}

interface Photo {
  readonly bytes: Buffer;
  readonly width: number;
  readonly height: number;
}

let session: InferenceSession;
let photos: Photo[] = [];
/** Where the last task left off: each goes on from there, so that short ones see all photos too. */
let next = 0;

async function load({ model, files, input, fittedTo }: BareLoad): Promise<void> {
  sharp.concurrency(1);
  sharp.cache(false);
  session = await InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  photos = await Promise.all(
    files.map(async (file) => {
      const bytes = readFileSync(file);
      if (fittedTo === undefined) return { bytes, ...input };
      const { autoOrient: shown } = await sharp(bytes).metadata();
      return { bytes, ...fittedSize(shown, alignedSide(input.width, fittedTo), fittedTo) };
    }),
  );
}

async function work({ seconds }: BareWork): Promise<BareReport> {
  const latenciesMs: number[] = [];
  const cpu = process.cpuUsage();
  const started = performance.now();
  while (performance.now() - started < seconds * 1000) {
    const before = performance.now();
    const { bytes, width, height } = photos[next++ % photos.length] as Photo;
    const pixels = await sharp(bytes, { failOn: 'error' })
      .resize(width, height, { fit: 'fill', kernel: RESIZE_KERNEL })
      .toColourspace('srgb')
      .raw()
      .toBuffer();
    await session.run({ pixels: new Tensor('uint8', pixels, [1, height, width, 3]) });
    latenciesMs.push(performance.now() - before);
  }
  const { user, system } = process.cpuUsage(cpu);
  return {
    done: latenciesMs.length,
    cpuSeconds: (user + system) / 1e6,
    seconds: (performance.now() - started) / 1000,
    latenciesMs,
  };
}

process.on('message', async (task: BareLoad | BareWork) => {
  try {
    process.send?.(task.kind === 'load' ? await load(task).then(() => 'loaded') : await work(task));
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
});
// Its parent is gone, and with it the reason to go on.
process.on('disconnect', () => process.exit(0));
