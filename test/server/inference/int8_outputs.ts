// Run by old_cpu.system.ts on an emulated CPU, whose /proc/cpuinfo is the real one's: how far int8's outputs are from what was
// stored, where sessions are told of the CPU, and where not.
//   node int8_outputs.js MODEL.onnx QUANTIZATION.json WIDTH HEIGHT -> {"without": dB, "with": dB}
import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor } from '../../../server/inference/onnx_runtime.ts';
import {
  referencePicture,
  sampleOutputs,
  signalToNoise,
} from '../../../server/inference/reference_picture.ts';
import { ImageSession } from '../../../server/inference/session.ts';

const [model = '', quantization = '', width = '', height = ''] = process.argv.slice(2);
const onnx = readFileSync(model);
const reference = new Map<string, number[]>(
  Object.entries(JSON.parse(readFileSync(quantization, 'utf8')).reference),
);
const size = { width: Number(width), height: Number(height) };
const picture = referencePicture(size);

const plain = await InferenceSession.create(onnx, { executionProviders: ['cpu'], intraOpNumThreads: 1 });
const raw = await plain.run({ pixels: new Tensor('uint8', picture, [1, size.height, size.width, 3]) });
const outputs = Object.fromEntries(
  Object.entries(raw).map(([name, { data }]) => [name, data as Float32Array]),
);
const ours = await (await ImageSession.open(onnx, { threads: 1, narrowSums: true })).run(picture, size);
console.log(
  JSON.stringify({
    without: signalToNoise(sampleOutputs(outputs), reference),
    with: signalToNoise(sampleOutputs(ours), reference),
  }),
);
