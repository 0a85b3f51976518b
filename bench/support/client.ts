/**
 * A load generator in a process of its own, so that its CPU time is not the server's. Told what to send by the first
 * message from its parent; answers with what it saw.
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';

export interface ClientTask {
  readonly url: string;
  /** Files posted in turn; none makes it a GET. */
  readonly files: readonly string[];
  readonly clients: number;
  readonly seconds: number;
  /** Pause of each client between two requests. */
  readonly pauseMs: number;
}

export interface ClientReport {
  readonly done: number;
  /** Answers other than 200, and broken connections, by what they were. */
  readonly failures: Readonly<Record<string, number>>;
  readonly latenciesMs: readonly number[];
  readonly seconds: number;
}

process.once('message', async (task: ClientTask) => {
  const bodies = task.files.map((file) => readFileSync(file));
  const agent = new Agent({ keepAlive: true, maxSockets: task.clients });
  const latenciesMs: number[] = [];
  const failures: Record<string, number> = {};
  const started = performance.now();
  const until = started + task.seconds * 1000;
  let next = 0;

  const once = (body: Buffer | undefined) =>
    new Promise<string>((resolve) => {
      const sent = request(task.url, { agent, method: body ? 'POST' : 'GET' }, (response) => {
        response.resume();
        response.on('end', () => resolve(String(response.statusCode)));
        response.on('error', (error) => resolve(error.message));
      });
      sent.on('error', (error) => resolve(error.message));
      sent.end(body);
    });

  await Promise.all(
    Array.from({ length: task.clients }, async () => {
      while (performance.now() < until) {
        const before = performance.now();
        const outcome = await once(bodies[next++ % Math.max(1, bodies.length)]);
        if (outcome === '200') latenciesMs.push(performance.now() - before);
        else failures[outcome] = (failures[outcome] ?? 0) + 1;
        if (task.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, task.pauseMs));
      }
    }),
  );
  agent.destroy();
  const report: ClientReport = {
    done: latenciesMs.length,
    failures,
    latenciesMs,
    seconds: (performance.now() - started) / 1000,
  };
  process.send?.(report, () => process.exit(0));
});
