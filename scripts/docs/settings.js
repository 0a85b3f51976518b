import { table } from './markdown.js';

/** docs/reference/settings.md: what the server can be told when it starts. */
export async function settingsPage() {
  const { SETTINGS, environmentName } = await import('../../dist/server/settings.js');
  return `<!-- Written by scripts/generate-docs.js from server/settings.ts: edit that instead. -->
# Settings

\`thinlens serve\` takes each setting as a flag or as an environment variable. A flag goes before the variable, the variable before the default:

\`\`\`sh
THINLENS_PORT=9000 npx thinlens serve --max-batch 4
\`\`\`

A value out of its range stops the start with a sentence that names the flag or the variable, the value and the range; so does a variable whose name
begins with \`THINLENS_\` and that is none of these. (Those that Kubernetes sets in every pod beside a service whose name begins with
thinlens, such as \`THINLENS_PORT=tcp://10.0.0.1:80\` or \`THINLENS_CANARY_SERVICE_HOST\`, are passed over.) \`thinlens doctor\` looks at the
settings without starting anything. The other commands take some of them from the environment: all but \`cost\` \`THINLENS_HOME\`; those that run a network
\`THINLENS_THREADS\`, or \`THINLENS_PROFILE\` for its default; \`detect\`, \`segment\`, \`eval\` and \`bench\` also \`THINLENS_PRECISION\` and
\`THINLENS_EXECUTION_PROVIDER\`; and with \`quantize\` \`THINLENS_MAX_IMAGE_PIXELS\`.

${table(
  ['flag', 'variable', 'default', 'range', 'effect'],
  Object.values(SETTINGS).map((setting) => [
    `\`--${setting.flag}\``,
    `\`${environmentName(setting.flag)}\``,
    setting.defaultText ?? `\`${setting.default}\``,
    setting.range,
    setting.effect.replaceAll('|', '\\|'),
  ]),
)}
`;
}
