/**
 * A worker process: loads the models, then decodes, infers and postprocesses one photo at a time. It holds all that
 * can crash or hang on a hostile photo (libvips, ONNX Runtime), so that the server can kill it and go on.
 */
import { Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { ImageError } from '../image/image-error.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { ModelStore } from '../zoo/store.ts';
import { ModelUnavailableError } from '../zoo/weights.ts';
import { PHOTO_FD } from './channel.ts';
import { Detector } from './detector.ts';
import { FrameReader } from './frames.ts';
import type {
  DetectMessage,
  FromWorker,
  LoadedModel,
  LoadMessage,
  PhotoLimits,
  ToWorker,
} from './protocol.ts';

const detectors = new Map<string, Detector>();
let limits: PhotoLimits = { maxPixels: 0 };

// Threads run the same code where bench/ compares the two.
const send = (message: FromWorker) =>
  parentPort ? parentPort.postMessage(message) : process.send?.(message);

async function loadModel(record: ModelRecord, { home, threads }: LoadMessage): Promise<LoadedModel> {
  const { name } = record;
  const started = performance.now();
  try {
    detectors.set(name, await Detector.open(record, new ModelStore(home), threads));
    return { name, state: 'ready', seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { name, state: error instanceof ModelUnavailableError ? 'unavailable' : 'failed', reason };
  }
}

async function load(message: LoadMessage): Promise<void> {
  limits = message.limits;
  const models: LoadedModel[] = [];
  for (const record of message.models) models.push(await loadModel(record, message));
  send({ type: 'ready', models });
}

async function detect({ model, kind, options }: DetectMessage, bytes: Uint8Array): Promise<void> {
  try {
    const detector = detectors.get(model);
    if (!detector) throw new Error(`model '${model}' is not loaded`);
    send({ type: 'done', outcome: await detector.detect({ kind, bytes }, options, limits) });
  } catch (error) {
    if (error instanceof ImageError) send({ type: 'failed', code: error.code, message: error.message });
    else {
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      send({ type: 'failed', code: 'internal_error', message, ...(stack && { stack }) });
    }
  }
}

if (parentPort) {
  parentPort.on('message', ({ message, bytes }: { message: ToWorker; bytes: Uint8Array }) => {
    void (message.type === 'load' ? load(message) : detect(message, bytes));
  });
} else {
  process.on('message', (message: LoadMessage) => void load(message));
  const frames = new FrameReader<DetectMessage>((message, bytes) => void detect(message, bytes));
  new Socket({ fd: PHOTO_FD, readable: true, writable: false }).on('data', (chunk) => frames.push(chunk));
}

// A Ctrl-C in a terminal reaches the whole process group: the server decides when its workers end.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
// Without its server a worker has nothing to live for.
process.on('disconnect', () => process.exit(0));
