/**
 * What int8 brings: CPU time of the catalogued models' networks in both precisions, as they are served, on a photo of samples/.
 *   node dist/bench/int8.js [--model PART_OF_NAME] [--rounds N] [--threads N] [--json]
 * Both forms run in turns; ratios are of the same round, and medians over the rounds.
 */
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compareCpuTime } from '../server/inference/cpu_time.ts';
import { openSession } from '../server/inference/open.ts';
import { photoInput } from '../server/inference/photo_input.ts';
import { readSettings } from '../server/settings.ts';
import { catalog } from '../server/zoo/catalog.ts';
import { ModelStore } from '../server/zoo/store.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: '' },
    rounds: { type: 'string', default: '60' },
    threads: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const SAMPLE = fileURLToPath(new URL('../../samples/street.jpg', import.meta.url));
const photo = await readFile(SAMPLE);
const store = new ModelStore(readSettings({}, process.env).home);
const threads = Number(options.threads);

const models = [];
for (const record of catalog) {
  if (!record.name.includes(options.model)) continue;
  console.error(`measuring ${record.name}`);
  const { pixels, size } = await photoInput(photo, record, { maxPixels: 1e8 });
  const [fp32, int8] = [
    await openSession(record, store, { threads, precision: 'fp32' }),
    await openSession(record, store, { threads, precision: 'int8' }),
  ];
  const times = await compareCpuTime(
    () => fp32.run(pixels, size),
    () => int8.run(pixels, size),
    Number(options.rounds),
  );
  const bytes = async (precision: 'fp32' | 'int8') => (await store.compiled(record, precision)).onnx.length;
  models.push({
    model: record.name,
    fp32_ms: times.first,
    int8_ms: times.second,
    ratio: times.ratio,
    fp32_bytes: await bytes('fp32'),
    int8_bytes: await bytes('int8'),
  });
  await fp32.close();
  await int8.close();
}

const result = {
  date: new Date().toISOString().slice(0, 10),
  machine: { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version },
  threads,
  rounds: Number(options.rounds),
  models,
};
if (options.json) {
  console.log(JSON.stringify(result, null, 2));
} else {
  const { date, machine } = result;
  console.log(
    `${date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, threads of a session: ${threads}`,
  );
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
  for (const { model, fp32_ms, int8_ms, ratio, fp32_bytes, int8_bytes } of models) {
    console.log(
      `${model.padEnd(28)} fp32 ${fp32_ms.toFixed(2)} ms  int8 ${int8_ms.toFixed(2)} ms  ${ratio.toFixed(2)} times as fast  ${megabytes(fp32_bytes)} MB  ${megabytes(int8_bytes)} MB`,
    );
  }
}
