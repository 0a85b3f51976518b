// Writes the pages of docs/reference/ that are made from tables in the code, so that neither can say what the other doesn't.
//   node scripts/generate-docs.js            builds what is stale, then writes the pages
//   node scripts/generate-docs.js --check    compares the pages with dist/ as it is, and exits with 1 if one differs
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from './build.js';

const root = new URL('../', import.meta.url);
const pages = { 'docs/reference/errors.md': errorsPage };

const check = process.argv.includes('--check');
// A check runs among the tests, and a build would pull dist/ from under them.
if (!check) buildIfStale();

let stale = 0;
for (const [path, write] of Object.entries(pages)) {
  const url = new URL(path, root);
  const text = await write();
  if (!check) {
    writeFileSync(url, text);
  } else if (text !== read(url)) {
    console.error(`${path} is not what the code says: run node scripts/generate-docs.js`);
    stale++;
  }
}
process.exitCode = stale > 0 ? 1 : 0;

function read(url) {
  try {
    return readFileSync(fileURLToPath(url), 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  }
}

async function errorsPage() {
  const { PROBLEMS } = await import(new URL('dist/server/http/problem.js', root).href);
  const codes = Object.entries(PROBLEMS);
  return `<!-- Written by scripts/generate-docs.js from server/http/problem.ts: edit that instead. -->
# Errors

Every error is answered as \`application/problem+json\` (RFC 9457):

\`\`\`json
{
  "type": "urn:thinlens:problem:invalid_parameter",
  "title": "${PROBLEMS.invalid_parameter.title}",
  "status": ${PROBLEMS.invalid_parameter.status},
  "detail": "score_threshold must be a number between 0 and 1, got '7'",
  "instance": "/v1/detect",
  "code": "invalid_parameter",
  "request_id": "01JD3Q7M9Y8W6ZC5T4R2V1N0KX",
  "errors": [
    { "parameter": "score_threshold", "detail": "score_threshold must be a number between 0 and 1, got '7'" }
  ]
}
\`\`\`

\`code\` is stable: programs should look at it, and at nothing else. \`detail\` says what was wrong this time and what would be
right; it is for people and may change. \`request_id\` is the response's \`X-Request-Id\`, under which the server's log has the
request. \`errors\`, where there can be several, names each query parameter, place in a JSON body (\`pointer\`) or image (\`index\`)
that was wrong. \`index\` beside it is the image of a batch, counted from 0, that the problem belongs to. Every 503 carries
\`Retry-After\` in seconds.

${table(
  ['code', 'status', 'meaning'],
  codes.map(([code, { status, meaning }]) => [`[\`${code}\`](#${code})`, String(status), meaning]),
)}

${codes.map(([code, description]) => section(code, description)).join('\n')}`;
}

/** A Markdown table with its columns aligned, as the formatter wants it. */
function table(head, rows) {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function section(code, { status, title, meaning, remedy }) {
  return `## ${code}

${status} ${title}. ${meaning}

${remedy}
`;
}
