// The server that a tutorial would have you write: express takes the upload, multer keeps it in memory, sharp makes
// it the network's size, and onnxruntime-node runs the network on the main thread, with its default options.
//
//   node bench/rivals/tutorial-server.js MODEL.onnx [port, 8091 by default; 0 takes a free one]
//   curl -F image=@photo.jpg http://127.0.0.1:8091/detect
//   -> [{"box": [x, y, width, height], "label": "dog", "score": 0.87}, ...]     box in pixels, best first
//
// MODEL.onnx is ssdlite_mobilenet_v2_coco in single precision as thinlens compiles it: it takes bytes and normalises
// them itself, which spares this server the loop over the pixels that most such networks would ask for.
import express from 'express';
import multer from 'multer';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { CLASSES } from './coco-classes.js';

const SIZE = 300;
const MIN_SCORE = 0.3;
const MAX_OVERLAP = 0.6;
const MAX_BOXES = 100;
/** What the sigmoid makes the least score of. */
const MIN_LOGIT = Math.log(MIN_SCORE / (1 - MIN_SCORE));

/** The boxes that SSD's predictions start from: [centre y, centre x, height, width], in fractions of the picture. */
function makeAnchors() {
  const grids = [19, 10, 5, 3, 2, 1];
  const scales = [0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1];
  return grids.flatMap((cells, layer) => {
    const scale = scales[layer];
    const shapes = [1, 2, 0.5, 3, 0.3333].map((ratio) => [scale, ratio]);
    shapes.push([Math.sqrt(scale * scales[layer + 1]), 1]);
    if (layer === 0) shapes.splice(0, shapes.length, [0.1, 1], [scale, 2], [scale, 0.5]);
    return Array.from({ length: cells * cells }, (_, cell) =>
      shapes.map(([size, ratio]) => [
        (Math.floor(cell / cells) + 0.5) / cells,
        ((cell % cells) + 0.5) / cells,
        size / Math.sqrt(ratio),
        size * Math.sqrt(ratio),
      ]),
    ).flat();
  });
}

/** The nth anchor, moved and stretched as the network says: [left, top, right, bottom], in fractions of the picture. */
function decodeBox(encodings, anchors, n) {
  const [centreY, centreX, height, width] = anchors[n];
  const [dy, dx, dh, dw] = encodings.slice(n * 4, n * 4 + 4);
  const y = centreY + (dy / 10) * height;
  const x = centreX + (dx / 10) * width;
  const h = height * Math.exp(dh / 5);
  const w = width * Math.exp(dw / 5);
  return [x - w / 2, y - h / 2, x + w / 2, y + h / 2].map((value) => Math.min(1, Math.max(0, value)));
}

/** Intersection over union. */
function overlap(a, b) {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (width * height) / (area(a) + area(b) - width * height);
}

/** Keeps the best of the boxes of a class that lie on each other. */
function nonMaxSuppression(found) {
  const kept = [];
  for (const candidate of found.sort((a, b) => b.score - a.score)) {
    const covered = kept.some(
      (better) => better.classId === candidate.classId && overlap(better.box, candidate.box) > MAX_OVERLAP,
    );
    if (!covered) kept.push(candidate);
    if (kept.length === MAX_BOXES) break;
  }
  return kept;
}

const session = await InferenceSession.create(process.argv[2]);
const anchors = makeAnchors();

async function detect(photo) {
  const { width, height } = await sharp(photo).metadata();
  const pixels = await sharp(photo)
    .resize(SIZE, SIZE, { fit: 'fill' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer();
  const outputs = await session.run({ pixels: new Tensor('uint8', pixels, [1, SIZE, SIZE, 3]) });
  const encodings = outputs.box_encodings.data;
  const logits = outputs.class_logits.data;

  const found = [];
  for (let n = 0; n < anchors.length; n++) {
    for (let classId = 1; classId < CLASSES.length; classId++) {
      const logit = logits[n * CLASSES.length + classId];
      if (logit < MIN_LOGIT) continue;
      const score = 1 / (1 + Math.exp(-logit));
      found.push({ classId, score, box: decodeBox(encodings, anchors, n) });
    }
  }
  return nonMaxSuppression(found).map(({ classId, score, box: [left, top, right, bottom] }) => ({
    box: [left * width, top * height, (right - left) * width, (bottom - top) * height],
    label: CLASSES[classId],
    score,
  }));
}

const upload = multer({ storage: multer.memoryStorage() });
const app = express();

app.post('/detect', upload.single('image'), async (request, response) => {
  if (!request.file) return response.status(400).json({ error: 'send a photo in the field image' });
  response.json(await detect(request.file.buffer));
});
app.get('/livez', (_request, response) => response.json({ status: 'ok' }));

const server = app.listen(Number(process.argv[3] ?? 8091), '127.0.0.1', (error) => {
  if (error) throw error;
  console.log(`tutorial server listening on http://127.0.0.1:${server.address().port}`);
});
