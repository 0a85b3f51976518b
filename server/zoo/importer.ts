import { basename } from 'node:path';
import type { HeadName } from '../../heads/model.ts';
import { backboneNamed } from '../../models/backbones/registry.ts';
import type { Cost } from '../../models/graph/cost.ts';
import { GraphError } from '../../models/graph/graph.ts';
import type { InputSize } from '../../models/graph/image_input.ts';
import type { Weights } from '../../models/graph/tensor.ts';
import { WeightsError } from '../../models/weights/errors.ts';
import { unwrapped } from '../../models/weights/maps/maps.ts';
import { applyMap } from '../../models/weights/maps/name_map.ts';
import { writeSafetensors } from '../../models/weights/safetensors.ts';
import { backboneNames } from './architecture.ts';
import type { HeadRequest } from './candidates.ts';
import { assumption, candidateFor, specOf } from './candidates.ts';
import { catalog } from './catalog.ts';
import { ImportError, readBounded, readCheckpointFile } from './checkpoint_file.ts';
import { sha256Of } from './files.ts';
import { withLock } from './import_lock.ts';
import type { ImportedRecord } from './imported.ts';
import {
  discardWeights,
  readImported,
  recordText,
  weightsFile,
  writeRecord,
  writeWeights,
} from './imported.ts';
import { parseLabels } from './label_file.ts';
import type { Label } from './labels.ts';
import { COCO_LABELS, MAX_CLASSES, VOC_LABELS } from './labels.ts';
import { costOf, networkOf, servedSize } from './network.ts';
import type { NetworkFacts } from './network_facts.ts';
import type { NetworkSpec } from './record.ts';
import { MODEL_NAME, TASK_OF_HEAD } from './record.ts';
import { sidecarFacts } from './sidecar.ts';
import type { ModelStore } from './store.ts';

/** What is to be imported; what is not said is taken from a file beside it, else from its library's habits. */
export interface ImportRequest extends Omit<NetworkFacts, 'labels' | 'title' | 'described'>, HeadRequest {
  /** The checkpoint. */
  readonly file: string;
  readonly config?: string;
  readonly labelsFile?: string;
  readonly licence?: string;
  /** Replace an imported model of that name. */
  readonly force?: boolean;
}

/** What an import needs from outside the zoo. */
export interface ImportTools {
  /** Runs a compiled network on some image. @returns its outputs by name */
  readonly trial: (onnx: Uint8Array, size: InputSize) => Promise<Readonly<Record<string, Float32Array>>>;
  /** Is told, in a sentence, what was assumed or passed over. */
  readonly note?: (sentence: string) => void;
}

/** What came of an import. */
export interface Imported {
  readonly record: ImportedRecord;
  readonly cost: Cost;
  /** Tensors that were taken from the file. */
  readonly taken: number;
  /** Whether the names had DataParallel's prefix. */
  readonly wrapped: boolean;
  /** Whether the map was recognised, not named. */
  readonly recognised: boolean;
  /** The JSON file that described the network, if one did. */
  readonly described?: string;
}

const LABELS_BYTES = 1024 * 1024;
const UNKNOWN_LICENCE = 'not stated';

/**
 * Reads a checkpoint into one of our networks, checks that it fits to the last tensor, and puts record and weights into
 * the store. The model is compiled and run once before anything knows of it.
 * @throws ImportError, WeightsError or the file system's error; the store is then as it was
 */
export async function importModel(
  request: ImportRequest,
  store: ModelStore,
  tools: ImportTools,
): Promise<Imported> {
  checkName(request.name);
  return withLock(store.home, request.name, () => importAlone(request, store, tools));
}

/** While no other import has the name. */
async function importAlone(
  request: ImportRequest,
  store: ModelStore,
  { trial, note = () => {} }: ImportTools,
): Promise<Imported> {
  if (!request.force && readImported(store.home).records.some(({ name }) => name === request.name))
    throw new ImportError(`there is an imported model '${request.name}' already: --force replaces it`);
  const asked = given(request);
  const facts: NetworkFacts = {
    ...(await sidecarFacts(request.file, request.config, asked, note)),
    ...asked,
  };
  const file = basename(request.file);
  if (facts.backbone === undefined)
    throw new ImportError(
      `${file} does not say what it is for: --backbone names the network, one of ${backboneNames().join(', ')}`,
    );
  const { tensors, wrapped } = unwrapped(await readCheckpointFile(request.file));
  try {
    const { record, bytes, assumed } = await networkFrom(request, facts, tensors);
    if (assumed !== undefined) note(assumed);
    await keep(record, bytes, store, trial);
    return {
      record,
      cost: costOf(record),
      taken: tensors.size - record.source.leftOut.length,
      wrapped,
      recognised: facts.map === undefined,
      ...(facts.described !== undefined && { described: facts.described }),
    };
  } catch (error) {
    // What the network cannot be built as is what was asked for, not a fault.
    const by = facts.described === undefined ? '' : ` (${facts.described} describes it)`;
    if (error instanceof GraphError)
      throw new ImportError(`${facts.backbone} cannot be built as it was asked for: ${error.message}${by}`);
    if (error instanceof RangeError) throw new ImportError(`${error.message}${by}`);
    throw error;
  }
}

/**
 * What `read` returns. Where the tensors do not fit but would at another published width, the error says that before it
 * names them all.
 */
function orWidthThatFits<Result>(
  read: () => Result,
  { backbone, width }: NetworkSpec,
  at: (width: number) => unknown,
): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    const fits = backboneNamed(backbone).widths.find((other) => {
      if (other === width) return false;
      try {
        at(other);
        return true;
      } catch {
        return false;
      }
    });
    if (fits === undefined) throw error;
    throw new WeightsError(`this is a ${backbone} of --width ${fits}, not of ${width}: ${error.message}`);
  }
}

/** Record and weights of the network that the tensors are for. */
async function networkFrom(
  request: ImportRequest,
  facts: NetworkFacts,
  tensors: Weights,
): Promise<{ readonly record: ImportedRecord; readonly bytes: Uint8Array; readonly assumed?: string }> {
  const { name, licence = UNKNOWN_LICENCE } = request;
  const file = basename(request.file);
  const candidate = candidateFor(facts, tensors, file);
  const { map, target } = candidate;
  const spec = specOf(request, facts, map, target.head as HeadName, tensors);
  const { graph } = networkOf({ ...spec, name });
  const read = (width: number) => {
    const { graph: other } = width === spec.width ? { graph } : networkOf({ ...spec, name, width });
    return applyMap(map, { ...target, graph: other }, tensors, file);
  };
  if (TASK_OF_HEAD[spec.head] === 'segmentation' && spec.classColumns > MAX_CLASSES) {
    throw new ImportError(
      `${file} has ${spec.classColumns} classes, and a segmentation model may have ${MAX_CLASSES} at most`,
    );
  }
  const { weights, leftOut } = orWidthThatFits(() => read(spec.width), spec, read);
  const bytes = writeSafetensors(weights);
  const sha256 = sha256Of(bytes);
  const labels = await labelsOf(request, facts, spec);
  const record: ImportedRecord = {
    name,
    title: facts.title ?? `${name} (imported)`,
    task: TASK_OF_HEAD[spec.head],
    ...spec,
    dataset: datasetOf(labels),
    labels,
    source: {
      kind: 'imported',
      file: weightsFile(name, sha256),
      bytes: bytes.length,
      sha256,
      origin: file,
      map: map.name,
      leftOut,
    },
    licence,
    attribution: `imported from ${file}`,
  };
  const assumed = assumption(facts, candidate, file);
  return { record, bytes, ...(assumed !== undefined && { assumed }) };
}

/** Of a request, what is also known from sidecars. */
function given({
  backbone,
  head,
  width,
  outputStride,
  size,
  map,
  padding,
  epsilon,
  normalization,
}: ImportRequest): NetworkFacts {
  const all = { backbone, head, width, outputStride, size, map, padding, epsilon, normalization };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function checkName(name: string): void {
  if (!MODEL_NAME.test(name))
    throw new ImportError(`'${name}' cannot be a model's name: it takes 1 to 64 of a to z, 0 to 9 and _`);
  if (catalog.some((record) => record.name === name))
    throw new ImportError(`'${name}' is a model of the catalog: choose another name`);
}

/** @throws ImportError where there are labels for columns that there are not */
async function labelsOf(
  { labelsFile }: ImportRequest,
  facts: NetworkFacts,
  { head, classColumns }: NetworkSpec,
): Promise<readonly Label[]> {
  // Column 0 of a detection model is the background.
  const first = TASK_OF_HEAD[head] === 'detection' ? 1 : 0;
  const labels =
    labelsFile === undefined
      ? facts.labels
      : parseLabels((await readBounded(labelsFile, LABELS_BYTES)).toString('utf8'), first, labelsFile);
  if (!labels) {
    return Array.from({ length: classColumns - first }, (_, index) => ({
      classId: first + index,
      label: `class ${first + index}`,
    }));
  }
  const ids = new Set(labels.map(({ classId }) => classId));
  const outside = labels.filter(({ classId }) => classId < first || classId >= classColumns);
  if (outside.length > 0 || ids.size !== labels.length || (first === 0 && labels.length !== classColumns)) {
    throw new ImportError(
      `the ${labels.length} labels of ${labelsFile ?? facts.described} do not fit: the weights have classes ${first} to ${classColumns - 1}, each of which may have one label`,
    );
  }
  return labels;
}

/** The dataset whose labels these are. */
function datasetOf(labels: readonly Label[]): string {
  const known = Object.entries({ coco: COCO_LABELS, voc: VOC_LABELS });
  const found = known.find(([, own]) => {
    const names = new Map(own.map(({ classId, label }) => [classId, label]));
    return labels.length === own.length && labels.every(({ classId, label }) => names.get(classId) === label);
  });
  return found?.[0] ?? 'custom';
}

/** Weights first, then a trial, then the record: what does not run is never listed. */
async function keep(
  record: ImportedRecord,
  bytes: Uint8Array,
  store: ModelStore,
  trial: ImportTools['trial'],
): Promise<void> {
  checkReadable(record);
  const before = readImported(store.home).records.find(({ name }) => name === record.name);
  await writeWeights(store.home, record.source.file, bytes);
  try {
    const { onnx } = await store.compiled(record);
    checkFinite(record, await trial(onnx, servedSize(record)));
    await writeRecord(store.home, record);
  } catch (error) {
    // What was there before may be made from the same.
    if (record.source.file !== before?.source.file) await discardWeights(store.home, record.source.file);
    if (!before || store.pathOf(record) !== store.pathOf(before)) await store.discard(record);
    throw error;
  }
  await store.forget(record.name, record);
}

/** @throws ImportError where the record is none that the store's readers take */
function checkReadable(record: ImportedRecord): void {
  try {
    recordText(record);
  } catch (error) {
    throw new ImportError(`${record.name} cannot be kept as it was asked for: ${(error as Error).message}`);
  }
}

/** @throws ImportError naming the outputs that are not finite */
function checkFinite(record: ImportedRecord, found: Readonly<Record<string, Float32Array>>): void {
  const broken = [...networkOf(record).outputs].filter(([, value]) => !found[value]?.every(Number.isFinite));
  if (broken.length === 0) return;
  const names = broken.map(([name]) => name).join(', ');
  throw new ImportError(
    `${record.source.origin} reads into ${record.name}, but of a plain image it makes ${names} that are not finite numbers: are its weights damaged?`,
  );
}
