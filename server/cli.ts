import { Command } from 'commander';
import { version } from './package.ts';

// Each command is loaded when it is asked for: the server must not carry the decoder and the runtime that only its
// workers need.
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./commands/serve.ts')).serveCommand(),
  models: async () => (await import('./commands/models.ts')).modelsCommand(),
  detect: async () => (await import('./commands/detect.ts')).detectCommand(),
  segment: async () => (await import('./commands/segment.ts')).segmentCommand(),
  cost: async () => (await import('./commands/cost.ts')).costCommand(),
  eval: async () => (await import('./commands/eval.ts')).evalCommand(),
  import: async () => (await import('./commands/import.ts')).importCommand(),
  quantize: async () => (await import('./commands/quantize.ts')).quantizeCommand(),
  bench: async () => (await import('./commands/bench.ts')).benchCommand(),
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  run: async () => (await import('./commands/run.ts')).runCommand(),
};

const HINT = '(--help lists what there is)';
/** Errors whose message is meant for the person at the terminal; so are the system's own (no such file, no space). */
const MENDABLE = new Set([
  'CommandError',
  'SettingError',
  'ModelUnavailableError',
  'WeightsError',
  'CocoFormatError',
  'ImageError',
  'ImportError',
  'TapError',
  'QuantizationError',
  'ExecutionProviderError',
  'Int8CheckError',
]);

const program = new Command('thinlens')
  .description('Object detection and segmentation server for mobile-class networks.')
  .version(version)
  .showHelpAfterError(HINT);

try {
  const name = process.argv[2] ?? '';
  const wanted = Object.hasOwn(commands, name) && commands[name];
  for (const load of wanted ? [wanted] : Object.values(commands)) {
    const command = await load();
    for (const each of [command, ...command.commands]) each.showHelpAfterError(HINT);
    program.addCommand(command);
  }
  await program.parseAsync();
} catch (error) {
  // What a person can mend is one sentence; a stack is for faults of ours.
  const { name, message, stack, code, syscall } = error as NodeJS.ErrnoException;
  const expected = MENDABLE.has(name) || (code !== undefined && syscall !== undefined);
  console.error(`thinlens: ${expected ? message : stack}`);
  process.exitCode = 1;
}
