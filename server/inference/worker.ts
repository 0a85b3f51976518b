/**
 * A worker process: loads the models, then decodes, infers and postprocesses one photo at a time. It holds all that
 * can crash or hang on a hostile photo (libvips, ONNX Runtime), so that the server can kill it and go on.
 */
import { Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { collectEvery } from '../garbage.ts';
import { ImageError } from '../image/image-error.ts';
import type { ModelRecord, Precision } from '../zoo/record.ts';
import { ModelStore } from '../zoo/store.ts';
import { ModelUnavailableError } from '../zoo/weights.ts';
import { ANSWER_FD, PHOTO_FD } from './channel.ts';
import { answerDetect } from './detect_answer.ts';
import { Detector } from './detector.ts';
import { FrameReader, frame } from './frames.ts';
import type { Opener } from './open.ts';
import { openFastest } from './open.ts';
import type {
  DetectOptions,
  FromWorker,
  JobMessage,
  LoadedModel,
  LoadMessage,
  PhotoLimits,
  SegmentOptions,
  TaskName,
  Tasks,
  ToWorker,
} from './protocol.ts';
import { answerSegment } from './segment_answer.ts';
import { Segmenter } from './segmenter.ts';

type Runner = Detector | Segmenter;

/** A model that is loaded: what runs it in each precision, opened when it is first asked for. */
interface Loaded {
  readonly runners: Map<Precision, Promise<Runner>>;
  open(precision: Precision): Promise<Runner>;
}

const models = new Map<string, Loaded>();
let limits: PhotoLimits = { maxPixels: 0 };

/** A thread shares its process's flags with the rest of it. */
const photoDone = parentPort ? () => {} : collectEvery(1000);

const NOTHING = new Uint8Array(0);
const answers = parentPort ? undefined : new Socket({ fd: ANSWER_FD, readable: false, writable: true });
// A server that is gone reads no answers: the process ends with its channel.
answers?.on('error', () => {});

/** Threads run the same code where bench/ compares the two. */
function send(message: FromWorker, body: Uint8Array = NOTHING): void {
  if (!answers) {
    parentPort?.postMessage({ message, body });
    return;
  }
  answers.cork();
  for (const part of frame(message, body)) answers.write(part);
  answers.uncork();
}

async function loadModel(
  record: ModelRecord,
  { home, threads, executionProvider, precision }: LoadMessage,
): Promise<LoadedModel> {
  const { name, task } = record;
  const started = performance.now();
  const store = new ModelStore(home);
  try {
    const open: Opener<Runner> = task === 'segmentation' ? Segmenter.open : Detector.open;
    const how = { threads, ...(executionProvider && { executionProvider }) };
    const { runner, ...opened } = await openFastest(open, record, store, { ...how, precision });
    models.set(name, {
      runners: new Map([[opened.precision, Promise.resolve(runner)]]),
      open: (other) => open(record, store, { ...how, precision: other }),
    });
    return { name, state: 'ready', seconds: (performance.now() - started) / 1000, ...opened };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { name, state: error instanceof ModelUnavailableError ? 'unavailable' : 'failed', reason };
  }
}

/** What runs a model in a precision; opened now, if this is the first time. */
async function runnerOf(name: string, precision: Precision): Promise<Runner | undefined> {
  const model = models.get(name);
  if (!model) return undefined;
  const known = model.runners.get(precision);
  if (known) return known;
  const opening = model.open(precision);
  model.runners.set(precision, opening);
  // What failed once, for want of memory say, may succeed another time.
  opening.catch(() => model.runners.delete(precision));
  return opening;
}

async function load(message: LoadMessage): Promise<void> {
  limits = message.limits;
  const loaded: LoadedModel[] = [];
  for (const record of message.models) loaded.push(await loadModel(record, message));
  send({ type: 'ready', models: loaded });
}

async function answer(message: JobMessage, bytes: Uint8Array): Promise<Outcome> {
  const { task, model, precision, kind, options } = message;
  const found = await runnerOf(model, precision);
  if (task === 'detect' && found instanceof Detector) {
    return answerDetect(found, { kind, bytes }, options as DetectOptions, limits);
  }
  if (task === 'segment' && kind === 'encoded' && found instanceof Segmenter) {
    return answerSegment(found, bytes, options as SegmentOptions, limits);
  }
  throw new Error(`model '${model}' is not loaded for '${task}' of ${kind} photos`);
}

type Outcome = Tasks[TaskName]['outcome'];

async function work(message: JobMessage, bytes: Uint8Array): Promise<void> {
  try {
    const { body, ...outcome } = { body: NOTHING, ...(await answer(message, bytes)) };
    send({ type: 'done', outcome }, body);
  } catch (error) {
    if (error instanceof ImageError) send({ type: 'failed', code: error.code, message: error.message });
    else {
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      send({ type: 'failed', code: 'internal_error', message, ...(stack && { stack }) });
    }
  }
  photoDone();
}

if (parentPort) {
  parentPort.on('message', ({ message, bytes }: { message: ToWorker; bytes: Uint8Array }) => {
    void (message.type === 'load' ? load(message) : work(message, bytes));
  });
} else {
  process.on('message', (message: LoadMessage) => void load(message));
  const frames = new FrameReader<JobMessage>((message, bytes) => void work(message, bytes));
  new Socket({ fd: PHOTO_FD, readable: true, writable: false }).on('data', (chunk) => frames.push(chunk));
}

// A Ctrl-C in a terminal reaches the whole process group: the server decides when its workers end.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
// Without its server a worker has nothing to live for.
process.on('disconnect', () => process.exit(0));
