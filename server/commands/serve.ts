import type { Command } from 'commander';
import { pino } from 'pino';
import { collectEvery } from '../garbage.ts';
import { usableCpus } from '../inference/cpus.ts';
import { LogLines } from '../observability/log_lines.ts';
import { startServer } from '../server.ts';
import type { Settings } from '../settings.ts';
import { environmentName, readSettings, SETTINGS, SettingError } from '../settings.ts';
import { isServed } from '../zoo/record.ts';
import { settingsCommand } from './settings_command.ts';

/** `thinlens serve`: the HTTP server, until SIGTERM or SIGINT. Every setting is a flag. */
export function serveCommand(): Command {
  return settingsCommand('serve')
    .description('Start the HTTP server.')
    .action(async (flags: Record<string, string>) => serve(flags));
}

async function serve(flags: Record<string, string>): Promise<void> {
  const settings = readSettings(flags, process.env);
  const lines = new LogLines();
  const log = pino({ level: settings.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime }, lines);
  const server = await startServer(settings, log, collectEvery(1000)).catch((error) => {
    throw LISTEN_CALLS.has(error.syscall) ? cannotListen(error, settings) : error;
  });
  const { profile, workers, threads, executionProvider } = settings;
  log.info(
    { url: server.url, profile, workers, threads, cpus: usableCpus(), executionProvider },
    'listening; loading models',
  );

  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    signals += 1;
    // Who asks twice does not want to wait.
    if (signals > 1) process.exit(1);
    log.info({ signal }, 'stopping: running requests finish first');
    void server.stop().then(async () => {
      log.info('stopped');
      await lines.close();
      process.exit(0);
    });
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  try {
    await server.ready;
  } catch (error) {
    if (signals > 0) return;
    const message = loadFault(error as Error, settings);
    log.fatal({ reason: message }, 'the models could not be loaded');
    await lines.close();
    console.error(`thinlens: ${message}`);
    process.exit(1);
  }
  for (const reason of server.service.faults) log.warn({ reason }, 'an imported model cannot be used');
  for (const { record, loaded } of server.service.models) {
    if (loaded.state === 'ready') {
      const { precision, seconds, fallback } = loaded;
      log.info({ model: record.name, precision, seconds: Number(seconds.toFixed(3)) }, 'model ready');
      if (fallback) log.warn({ model: record.name, ...fallback }, 'int8 is not used: the model runs in fp32');
    } else {
      const { state, reason } = { reason: undefined, ...loaded };
      const { models } = settings;
      const isWanted = isServed(record) && (models.length === 0 || models.includes(record.name));
      const level = isWanted ? 'warn' : 'debug';
      log[level]({ model: record.name, state, reason }, 'model not available');
    }
  }
  log.info({ url: server.url }, 'ready');
}

/** Why the models could not be loaded; with the name of the setting, where the system refused the store's folder. */
export function loadFault({ message }: Error, { home }: Pick<Settings, 'home'>): string {
  const refused =
    /\b(EACCES|EPERM|EROFS|ENOSPC|ENOENT|ENOTDIR|EDQUOT): /.test(message) && message.includes(home);
  if (!refused) return message;
  const { flag, range } = SETTINGS.home;
  return `${message}; --${flag} (${environmentName(flag)}) must be a ${range}`;
}

/** System calls that stand behind an address that cannot be listened on. */
const LISTEN_CALLS = new Set(['listen', 'bind', 'getaddrinfo']);

const LISTEN_ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; --port takes another one, and 0 any that is free',
  EACCES: 'this user may not; --port takes another one',
  EADDRNOTAVAIL: 'this machine does not have that address; --host takes another one',
  ENOTFOUND: 'no such host is known; --host takes another one',
};

function cannotListen(error: NodeJS.ErrnoException, { host, port }: Settings): Error {
  const why = LISTEN_ADVICE[error.code ?? ''] ?? error.message;
  return new SettingError(`cannot listen on ${host}:${port}: ${why}`);
}
