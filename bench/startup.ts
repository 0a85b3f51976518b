/**
 * How long a server takes from `node` to /readyz answering 200, all models loaded, with a store that holds them compiled.
 *   node dist/bench/startup.js [--rounds N] [--json] [-- FLAGS OF thinlens serve]
 * Each round starts a server as a user would, asks /readyz every few milliseconds, and stops it. The first, which fills the store
 * where it has to, is not counted.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from './support/free_port.ts';
import { OtherWork, thisMachine } from './support/machine.ts';
import { cpuSeconds } from './support/process_tree.ts';
import { spreadOf } from './support/statistics.ts';

const { values: options, positionals: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    json: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const POLL_MS = 5;
const LONGEST_MS = 180_000;
const command = fileURLToPath(new URL('../../bin/thinlens.js', import.meta.url));

/** The status of GET /readyz; 0 where nobody listens yet. */
function probe(port: number): Promise<number> {
  return new Promise((resolve) => {
    get({ port, path: '/readyz', host: '127.0.0.1', agent: false }, (response) => {
      response.resume();
      response.once('close', () => resolve(response.statusCode ?? 0));
    }).once('error', () => resolve(0));
  });
}

interface Start {
  /** Seconds from the start of the process to the first 200. */
  readonly seconds: number;
  /** CPU seconds that the server and its workers had used by then. */
  readonly cpuSeconds: number;
  /** Share of the machine's CPUs that went to other work meanwhile. */
  readonly others: number;
}

async function measure(): Promise<Start> {
  const port = await freePort();
  const others = new OtherWork();
  others.begin();
  const started = performance.now();
  const server = spawn(process.execPath, [command, 'serve', '--port', String(port), ...flags], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(server, 'exit');
  try {
    while ((await probe(port)) !== 200) {
      if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`);
      if (performance.now() - started > LONGEST_MS) throw new Error('the server did not become ready');
      await sleep(POLL_MS);
    }
    const seconds = (performance.now() - started) / 1000;
    return { seconds, cpuSeconds: cpuSeconds(server.pid ?? 0), others: others.share() };
  } finally {
    server.kill('SIGTERM');
    await exited;
  }
}

await measure();
const starts: Start[] = [];
for (let round = 0; round < Number(options.rounds); round++) starts.push(await measure());
const result = {
  date: new Date().toISOString().slice(0, 10),
  machine: thisMachine(),
  flags,
  seconds: spreadOf(starts.map(({ seconds }) => seconds)),
  cpu_seconds: spreadOf(starts.map((start) => start.cpuSeconds)),
  others: spreadOf(starts.map((start) => start.others)),
};
if (options.json) {
  console.log(JSON.stringify(result, null, 2));
} else {
  const { machine, seconds, cpu_seconds: cpu } = result;
  const text = ({ median, lowest, highest }: typeof cpu) =>
    `${median.toFixed(2)} s (${lowest.toFixed(2)} to ${highest.toFixed(2)})`;
  console.log(
    `${result.date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, ${starts.length} starts`,
  );
  console.log(`  from node to ready: ${text(seconds)}; CPU of all processes: ${text(cpu)}`);
  const { median, lowest, highest } = result.others;
  const percent = (share: number) => (100 * share).toFixed(0);
  console.log(
    `  CPUs taken by other work meanwhile: ${percent(median)} % (${percent(lowest)} to ${percent(highest)})`,
  );
}
