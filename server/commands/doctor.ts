import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import Table from 'cli-table3';
import type { Command } from 'commander';
import type { Finding } from '../doctor/finding.ts';
import { messageOf, ok, problem } from '../doctor/finding.ts';
import { checkCpus, checkMemory, checkNode, checkPlatform } from '../doctor/machine.ts';
import { outlookOf } from '../doctor/outlook.ts';
import {
  checkCompiled,
  checkFolder,
  checkImported,
  checkQuantized,
  checkWeights,
  roomAt,
} from '../doctor/store.ts';
import { checkOnnxRuntime, checkPort, checkSharp } from '../doctor/surroundings.ts';
import { environmentName, isServiceLink } from '../environment.ts';
import { byteProducts } from '../inference/cpu_features.ts';
import { usableCpus } from '../inference/cpus.ts';
import { engines } from '../package.ts';
import type { Settings } from '../settings.ts';
import { readSettings, SETTINGS } from '../settings.ts';
import { catalog } from '../zoo/catalog.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { isServed } from '../zoo/record.ts';
import { records } from '../zoo/records.ts';
import { settingsCommand } from './settings_command.ts';

type Flags = Readonly<Partial<Record<string, string>>>;

/** `thinlens doctor`: whether `thinlens serve` with the same settings would do, and what to do where it would not. */
export function doctorCommand(): Command {
  return settingsCommand('doctor')
    .description(
      'Check this machine, this installation, the store and the settings, and say what to do. Takes the settings of serve; ends with 1 if there is a problem.',
    )
    .option('--json', 'print one JSON object')
    .action(async ({ json, ...flags }: { json?: boolean }) => {
      const findings = await examine(flags as Flags, process.env);
      const isWell = findings.every(({ state }) => state !== 'problem');
      if (json) console.log(JSON.stringify({ ok: isWell, checks: findings }, null, 2));
      else print(findings);
      if (!isWell) process.exitCode = 1;
    });
}

/** All that is checked, in order. */
export async function examine(
  flags: Flags,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const { settings, finding } = checkSettings(flags, environment);
  const { home, workers, models } = settings;
  const all = recordsAt(home);
  const served = all.filter(isServed).filter(({ name }) => models.length === 0 || models.includes(name));
  // Others do not keep a server from loading those that it is told to.
  const looked = models.length === 0 ? all : served;
  const memory = { total: totalmem(), limit: process.constrainedMemory(), available: availableMemory() };
  const room = await roomAt(home).catch((error: Error) => error);
  // Where ONNX Runtime does not load, that has a check of its own.
  const outlook = await outlookOf(served, settings).catch(() => undefined);
  const findings = [
    checkNode(process.version, engines.node),
    checkPlatform(process, byteProducts()),
    finding,
    checkCpus(usableCpus(), Math.max(cpus().length, availableParallelism()), settings),
    checkMemory(memory, served, workers),
    await checkOnnxRuntime(settings.executionProvider),
    await checkSharp(),
    checkFolder(home, room, outlook),
    await checkCompiled(home, room, outlook),
    checkImported(home, models),
    await checkQuantized(looked, home, all),
  ];
  for (const record of looked) findings.push(await checkWeights(record, home));
  findings.push(await checkPort(settings));
  return findings;
}

/** The settings; where they are wrong, those of them that are right beside the defaults, so that the rest can be checked. */
function checkSettings(
  flags: Flags,
  environment: Readonly<Record<string, string | undefined>>,
): { settings: Settings; finding: Finding } {
  try {
    const settings = readSettings(flags, environment);
    const given = [
      ...Object.keys(flags).map((name) => `--${SETTINGS[name as keyof Settings].flag}`),
      ...Object.values(SETTINGS)
        .map(({ flag }) => environmentName(flag))
        .filter((name) => {
          const text = environment[name];
          return text !== undefined && !isServiceLink(name, text);
        }),
    ];
    return { settings, finding: ok('settings', given.join(', ') || 'all are the defaults') };
  } catch (error) {
    const finding = problem(
      'settings',
      messageOf(error),
      'Correct it or leave it out; thinlens serve --help lists every setting. The other checks go by the default.',
    );
    // Alone these two cannot contradict another setting.
    const read = (name: 'home' | 'host' | 'port') => {
      const text = flags[name] ?? environment[environmentName(SETTINGS[name].flag)];
      const value = text === undefined ? undefined : SETTINGS[name].parse(text);
      return value === undefined ? {} : { [name]: value };
    };
    return {
      settings: { ...readSettings({}, {}), ...read('home'), ...read('host'), ...read('port') },
      finding,
    };
  }
}

/** The models; those of the catalog where the store cannot be read, which has a check of its own. */
function recordsAt(home: string): readonly ModelRecord[] {
  try {
    return records(home);
  } catch {
    return catalog;
  }
}

/** Memory that can be had without swapping, in bytes; Linux counts what it would give up for it. */
function availableMemory(): number {
  try {
    const [, kib] = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
    return kib === undefined ? freemem() : Number(kib) * 1024;
  } catch {
    return freemem();
  }
}

const WIDTHS = [40, 9, 72];

function print(findings: readonly Finding[]): void {
  const table = new Table({
    head: ['check', 'state', 'what was found, and what to do'],
    colWidths: WIDTHS,
    wordWrap: true,
    style: { head: [], border: [], compact: true },
  });
  for (const { check, state, detail, remedy } of findings)
    table.push([check, state, remedy ? `${detail}\n${remedy}` : detail]);
  console.log(table.toString());
  const count = (wanted: Finding['state']) => findings.filter(({ state }) => state === wanted).length;
  const plural = (many: number, what: string) => `${many} ${what}${many === 1 ? '' : 's'}`;
  console.log(
    `${plural(count('problem'), 'problem')}, ${plural(count('warning'), 'warning')}, ${count('ok')} ok`,
  );
}
