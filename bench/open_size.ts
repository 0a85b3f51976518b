/**
 * What it costs that a segmentation network is compiled once for all sizes: the same weights compiled for one size and with
 * height and width left open, with and without ONNX Runtime's memory arena, all run at that size. One thread, CPU time, in
 * turns within every round; ratios to the first are medians over the rounds.
 *   node dist/bench/open_size.js [--size 385x513] [--rounds N] [--json]
 * The workers' allocator settings make the difference that the arena would (server/inference/channel.ts): start it with
 *   MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=67108864 MALLOC_TRIM_THRESHOLD_=134217728
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { lower } from '../models/graph/lowering.ts';
import { toOnnx } from '../models/graph/onnx/writer.ts';
import { ImageSession } from '../server/inference/session.ts';
import { readSettings } from '../server/settings.ts';
import { catalog } from '../server/zoo/catalog.ts';
import { networkOf } from '../server/zoo/network.ts';
import { loadWeights } from '../server/zoo/weights.ts';
import { median } from './support/statistics.ts';

const { values: options } = parseArgs({
  options: {
    size: { type: 'string', default: '385x513' },
    rounds: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
});
const [height = 0, width = 0] = options.size.split('x').map(Number);
const size = { height, width };
const WARM_UP_ROUNDS = 4;
const FORMS = [
  { form: 'one size', anySize: false, manySizes: false },
  { form: 'open, arena', anySize: true, manySizes: false },
  { form: 'open, no arena (served)', anySize: true, manySizes: true },
] as const;

const { home } = readSettings({}, process.env);
const results = [];
for (const record of catalog.filter(({ task }) => task === 'segmentation')) {
  const lowered = lower(networkOf(record, { size }).graph);
  const weights = lowered.weights(await loadWeights(record, home));
  const forms = await Promise.all(
    FORMS.map(async ({ form, anySize, manySizes }) => ({
      form,
      session: await ImageSession.open(toOnnx(lowered.graph, weights, { anySize }), {
        threads: 1,
        manySizes,
      }),
      cpu: [] as number[],
    })),
  );
  for (let round = 0; round < Number(options.rounds) + WARM_UP_ROUNDS; round++) {
    const pixels = new Uint8Array(height * width * 3).map((_, i) => (i * 7919 + round) % 256);
    for (const { session, cpu } of forms) {
      const before = process.cpuUsage();
      await session.run(pixels, size);
      const { user, system } = process.cpuUsage(before);
      if (round >= WARM_UP_ROUNDS) cpu.push((user + system) / 1000);
    }
  }
  const [first] = forms;
  for (const { form, cpu, session } of forms) {
    const ratio = median(cpu.map((ms, round) => ms / (first?.cpu[round] ?? 1)));
    results.push({ model: record.name, form, cpu_ms: median(cpu), ratio });
    await session.close();
  }
}

const machine = { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version };
const date = new Date().toISOString().slice(0, 10);
if (options.json) console.log(JSON.stringify({ date, machine, size: options.size, results }, null, 2));
else {
  console.log(`${date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, ${options.size}`);
  for (const { model, form, cpu_ms, ratio } of results)
    console.log(
      `${model.padEnd(28)} ${form.padEnd(26)} ${cpu_ms.toFixed(1).padStart(6)} ms  ${ratio.toFixed(3)}`,
    );
}
