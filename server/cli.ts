import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { detectCommand } from './commands/detect.ts';
import { evalCommand } from './commands/eval.ts';
import { modelsCommand } from './commands/models.ts';
import { serveCommand } from './commands/serve.ts';

// dist/server/cli.js lies two folders below package.json.
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('thinlens')
  .description('Object detection server for mobile-class networks.')
  .version(version)
  .showHelpAfterError('(--help lists what there is)')
  .addCommand(serveCommand())
  .addCommand(modelsCommand())
  .addCommand(detectCommand())
  .addCommand(evalCommand());

try {
  await program.parseAsync();
} catch (error) {
  // What a person can mend is one sentence; a stack is for faults of ours.
  const expected =
    error instanceof Error && (error.name !== 'Error' || 'code' in error) && !(error instanceof TypeError);
  console.error(`thinlens: ${expected ? (error as Error).message : (error as Error).stack}`);
  process.exitCode = 1;
}
