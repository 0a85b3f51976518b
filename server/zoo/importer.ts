import { basename } from 'node:path';
import type { OutputStride } from '../../models/backbones/backbone.ts';
import type { Style } from '../../models/backbones/blocks.ts';
import { backboneNamed } from '../../models/backbones/registry.ts';
import type { Cost } from '../../models/graph/cost.ts';
import { GraphError } from '../../models/graph/graph.ts';
import { parametersOf } from '../../models/graph/parameters.ts';
import type { Weights } from '../../models/graph/tensor.ts';
import type { Candidate } from '../../models/weights/maps/maps.ts';
import { mapNamed, nameMaps, recognise, unwrapped } from '../../models/weights/maps/maps.ts';
import type { NameMap } from '../../models/weights/maps/name_map.ts';
import { applyMap } from '../../models/weights/maps/name_map.ts';
import { writeSafetensors } from '../../models/weights/safetensors.ts';
import { ImageSession } from '../inference/session.ts';
import type { HeadName } from './architecture.ts';
import { HEADS } from './architecture.ts';
import { catalog } from './catalog.ts';
import { ImportError, readBounded, readCheckpointFile } from './checkpoint_file.ts';
import { sha256Of } from './files.ts';
import type { ImportedRecord } from './imported.ts';
import {
  MODEL_NAME,
  readImported,
  removeWeights,
  weightsFile,
  writeRecord,
  writeWeights,
} from './imported.ts';
import type { Label } from './labels.ts';
import { COCO_LABELS } from './labels.ts';
import { costOf, networkOf } from './network.ts';
import type { NetworkSpec } from './record.ts';
import { TASK_OF_HEAD } from './record.ts';
import type { NetworkFacts } from './sidecar.ts';
import { parseLabels, sidecarFacts } from './sidecar.ts';
import type { ModelStore } from './store.ts';

/** What is to be imported; what is not said is taken from a file beside it, else from its library's habits. */
export interface ImportRequest extends Omit<NetworkFacts, 'labels' | 'title' | 'described'> {
  readonly name: string;
  /** The checkpoint. */
  readonly file: string;
  readonly config?: string;
  readonly labelsFile?: string;
  readonly headPadding?: Style['padding'];
  readonly headEpsilon?: number;
  readonly licence?: string;
  /** Replace an imported model of that name. */
  readonly force?: boolean;
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

const SSD_ANCHORS = 3;
const LABELS_BYTES = 1024 * 1024;
const UNKNOWN_LICENCE = 'not stated';

/**
 * Reads a checkpoint into one of our networks, checks that it fits to the last tensor, and puts record and weights into
 * the store. The model is compiled and run once before anything knows of it.
 * @throws ImportError, WeightsError or the file system's error; the store is then as it was
 */
export async function importModel(request: ImportRequest, store: ModelStore, threads = 1): Promise<Imported> {
  checkName(request, store.home);
  const facts: NetworkFacts = { ...(await factsFor(request)), ...given(request) };
  if (facts.backbone === undefined) {
    throw new ImportError(
      `${basename(request.file)} does not say what it is for: --backbone names the network`,
    );
  }
  const { tensors, wrapped } = unwrapped(await readCheckpointFile(request.file));
  const file = basename(request.file);
  try {
    const { map, target } = candidateFor(facts, tensors, file);
    const spec = specOf(request, facts, map, target.head as HeadName, tensors);
    const { graph } = networkOf({ ...spec, name: request.name });
    const { weights, leftOut } = applyMap(map, { ...target, graph }, tensors, file);
    const bytes = writeSafetensors(weights);
    const sha256 = sha256Of(bytes);
    const labels = await labelsOf(request, facts, spec);
    const record: ImportedRecord = {
      name: request.name,
      title: facts.title ?? `${request.name} (imported)`,
      task: TASK_OF_HEAD[spec.head],
      ...spec,
      dataset: datasetOf(labels),
      labels,
      source: {
        kind: 'imported',
        file: weightsFile(request.name, sha256),
        bytes: bytes.length,
        sha256,
        origin: file,
        map: map.name,
        leftOut,
      },
      licence: request.licence ?? UNKNOWN_LICENCE,
      attribution: `imported from ${file}`,
    };
    await keep(record, bytes, store, threads);
    const taken = tensors.size - leftOut.length;
    return {
      record,
      cost: costOf(record),
      taken,
      wrapped,
      recognised: facts.map === undefined,
      ...(facts.described !== undefined && { described: facts.described }),
    };
  } catch (error) {
    // What the network cannot be built as is what was asked for, not a fault.
    if (error instanceof RangeError) throw new ImportError(error.message);
    if (error instanceof GraphError)
      throw new ImportError(`${facts.backbone} cannot be built as it was asked for: ${error.message}`);
    throw error;
  }
}

/** What a JSON file says of the checkpoint. One that lies beside it, and speaks of another library than was asked for, is not about it. */
async function factsFor({ file, config, map }: ImportRequest): Promise<NetworkFacts> {
  const facts = await sidecarFacts(file, config);
  if (map === undefined || facts.map === undefined || map === facts.map) return facts;
  if (config === undefined) return {};
  throw new ImportError(`${config} describes a checkpoint of ${facts.map}, and --map is ${map}`);
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

function checkName({ name, force = false }: ImportRequest, home: string): void {
  if (!MODEL_NAME.test(name)) {
    throw new ImportError(`'${name}' cannot be a model's name: it takes 1 to 64 of a to z, 0 to 9 and _`);
  }
  if (catalog.some((record) => record.name === name)) {
    throw new ImportError(`'${name}' is a model of the catalog: choose another name`);
  }
  if (!force && readImported(home).records.some((record) => record.name === name)) {
    throw new ImportError(`there is an imported model '${name}' already: --force replaces it`);
  }
}

/** The map to read the checkpoint with, and the head that it is for. */
function candidateFor(facts: NetworkFacts, tensors: Weights, file: string): Candidate {
  const backbone = backboneNamed(facts.backbone ?? '').name;
  const maps = facts.map === undefined ? nameMaps : [mapNamed(facts.map)];
  const candidates = candidatesOf(maps, facts);
  if (candidates.length === 0) {
    const which = maps.map((map) => map.name).join(', ');
    const heads = [...new Set(maps.flatMap((map) => map.covers.get(backbone) ?? []))].join(', ') || 'none';
    throw new ImportError(
      `no checkpoint of ${backbone}${facts.head ? ` with the head ${facts.head}` : ''} is known to the map ${which}; with this backbone the heads are ${heads}`,
    );
  }
  const found = recognise(candidates, tensors);
  if (found) return found;
  const some = [...tensors.keys()].slice(0, 5).join(', ');
  const other = recognise(
    candidatesOf(nameMaps, { backbone, ...(facts.width !== undefined && { width: facts.width }) }),
    tensors,
  );
  const advice = other ? `; they are named as ${other.map.name} does` : '';
  const why =
    facts.described === undefined
      ? ''
      : ` (${facts.described} describes such a network; --map says otherwise)`;
  throw new ImportError(
    `${file}: none of its tensors (${some}, ...) is one of ${backbone} as ${maps.map((map) => map.name).join(', ')} name them${why}${advice}`,
  );
}

/** The heads that each map knows with this backbone. */
function candidatesOf(maps: readonly NameMap[], facts: NetworkFacts): Candidate[] {
  const { name: backbone } = backboneNamed(facts.backbone ?? '');
  return maps.flatMap((map) =>
    (map.covers.get(backbone) ?? [])
      .filter((head) => facts.head === undefined || facts.head === head)
      .map((head): Candidate => {
        // The names do not depend on classes, sizes and strides, and not every head can be built with all of them.
        const plain = { backbone, width: facts.width ?? 1 };
        const spec = { ...specFor(plain, map, head as HeadName), classColumns: 2, name: 'candidate' };
        return { map, target: { backbone, head, graph: networkOf(spec).graph } };
      }),
  );
}

/** The network but for its classes. */
function specFor(facts: NetworkFacts, map: NameMap, head: HeadName): Omit<NetworkSpec, 'classColumns'> {
  const backbone = backboneNamed(facts.backbone ?? '');
  const task = TASK_OF_HEAD[head];
  const styles = map.styles(backbone.name, head);
  const { resolution, outputStrides } = HEADS[head];
  const { height, width } = facts.size ?? { height: resolution, width: resolution };
  const strides = backbone.outputStrides.filter((stride) =>
    (outputStrides as readonly number[]).includes(stride),
  );
  const outputStride = facts.outputStride ?? Math.max(...strides);
  const body = {
    ...styles.backbone,
    ...(facts.padding && { padding: facts.padding }),
    ...(facts.epsilon !== undefined && { epsilon: facts.epsilon }),
  };
  return {
    head,
    backbone: backbone.name,
    width: facts.width ?? 1,
    outputStride: outputStride as OutputStride,
    input: { width, height },
    normalization: facts.normalization ?? map.normalization(backbone.name),
    backboneStyle: body,
    headStyle: task === 'classification' ? body : styles.head,
  };
}

function specOf(
  { name, headPadding, headEpsilon }: ImportRequest,
  facts: NetworkFacts,
  map: NameMap,
  head: HeadName,
  tensors: Weights,
): NetworkSpec {
  const { headStyle, ...spec } = specFor(facts, map, head);
  const styled = {
    ...spec,
    headStyle: {
      ...headStyle,
      ...(headPadding && { padding: headPadding }),
      ...(headEpsilon !== undefined && { epsilon: headEpsilon }),
    },
  };
  return { ...styled, classColumns: classColumnsOf({ ...styled, classColumns: 2, name }, map, tensors) };
}

/** Columns of the class predictions, from the shape of the layer that makes them. */
function classColumnsOf(spec: NetworkSpec & { name: string }, map: NameMap, tensors: Weights): number {
  const { graph } = networkOf(spec);
  const detection = TASK_OF_HEAD[spec.head] === 'detection';
  const last = parametersOf(graph).findLast(({ role }) => role === 'weight')?.name;
  const layer = detection ? 'head.cls.0.predict.weight' : last;
  const target = { backbone: spec.backbone, head: spec.head, graph };
  const recipe = map.recipes(target).find(({ to }) => to === layer);
  const from = recipe?.from.map((name) => tensors.get(name)) ?? [];
  // Where it is missing, the check that follows says so.
  if (!recipe || !from.every((found) => found !== undefined)) return spec.classColumns;
  const [rows = 0] = (recipe.make ? recipe.make(from) : from[0])?.shape ?? [];
  return Math.max(detection ? 2 : 1, Math.floor(rows / (detection ? SSD_ANCHORS : 1)));
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
      `the ${labels.length} labels do not fit: the weights have classes ${first} to ${classColumns - 1}, each of which may have one label`,
    );
  }
  return labels;
}

/** The dataset whose labels these are. */
function datasetOf(labels: readonly Label[]): string {
  const coco = new Map(COCO_LABELS.map(({ classId, label }) => [classId, label]));
  const isCoco =
    labels.length === coco.size && labels.every(({ classId, label }) => coco.get(classId) === label);
  return isCoco ? 'coco' : 'custom';
}

/** Weights first, then a trial, then the record: what does not run is never listed. */
async function keep(
  record: ImportedRecord,
  bytes: Uint8Array,
  store: ModelStore,
  threads: number,
): Promise<void> {
  const before = readImported(store.home).records.find(({ name }) => name === record.name);
  await writeWeights(store.home, record.source.file, bytes);
  try {
    const { onnx } = await store.compiled(record);
    const session = await ImageSession.open(onnx, { threads });
    const { width, height } = record.input;
    await session.run(new Uint8Array(width * height * 3), { width, height });
    await session.close();
    await writeRecord(store.home, record);
  } catch (error) {
    await removeWeights(store.home, record.name, before?.source.file);
    throw error;
  }
}
