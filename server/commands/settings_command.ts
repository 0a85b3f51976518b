import { Command } from 'commander';
import { environmentName, SETTINGS } from '../settings.ts';

/** A command that takes every setting of the server as a flag. */
export function settingsCommand(name: string): Command {
  const command = new Command(name).configureHelp({ showGlobalOptions: false });
  for (const setting of Object.values(SETTINGS)) {
    const fallback =
      'defaultText' in setting && setting.defaultText ? setting.defaultText : String(setting.default);
    command.option(
      `--${setting.flag} <${setting.value}>`,
      `${setting.effect} ${setting.range}; default: ${fallback}; environment: ${environmentName(setting.flag)}`,
    );
  }
  return command;
}
