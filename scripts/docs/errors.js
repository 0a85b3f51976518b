import { table } from './markdown.js';

/** docs/reference/errors.md: what the API can answer with. */
export async function errorsPage() {
  const { PROBLEMS } = await import('../../dist/server/http/problem.js');
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

function section(code, { status, title, meaning, remedy }) {
  return `## ${code}

${status} ${title}. ${meaning}

${remedy}
`;
}
