import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** An execution provider that ONNX Runtime's build lists. */
export interface Tried {
  readonly name: string;
  /** Why no network opens with it, in a sentence. */
  readonly fault?: string;
}

const SCRIPT = fileURLToPath(new URL('./try_providers.js', import.meta.url));
const LONGEST_MS = 60_000;

/** Opens a network with each execution provider that there is, in a process of its own; those that it ended at are left out. */
export async function triedProviders(script = SCRIPT, longestMs = LONGEST_MS): Promise<readonly Tried[]> {
  const child = fork(script, [], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    timeout: longestMs,
    killSignal: 'SIGKILL',
  });
  const tried: Tried[] = [];
  child.on('message', (message: Tried) => tried.push(message));
  await once(child, 'close');
  return tried;
}
