import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { openapiDocument } from '../../../server/http/contract.ts';
import {
  HttpProblem,
  isProblemCode,
  PROBLEMS,
  type ProblemCode,
  toProblem,
} from '../../../server/http/problem.ts';

const REQUEST = { instance: '/v1/detect', requestId: 'abc-1' };

test('the table has the codes of the document, in its order', () => {
  const { components } = openapiDocument() as {
    components: { schemas: { ProblemCode: { enum: string[] } } };
  };
  assert.deepEqual(Object.keys(PROBLEMS), components.schemas.ProblemCode.enum);
});

test('every code has a client or server error status, a title of its own, one sentence and a remedy', () => {
  const titles = new Set<string>();
  for (const [code, { status, title, meaning, remedy }] of Object.entries(PROBLEMS)) {
    assert.ok(Number.isInteger(status) && status >= 400 && status < 600, code);
    assert.equal(title, (code[0]!.toUpperCase() + code.slice(1)).replaceAll('_', ' '));
    assert.match(meaning, /^[A-Z][^.]*\.$/, code);
    assert.match(remedy, /^\S.*\.$/, code);
    titles.add(title);
  }
  assert.equal(titles.size, Object.keys(PROBLEMS).length);
});

test('the table and its lines cannot be changed', () => {
  assert.throws(() => Object.assign(PROBLEMS, { no_image: null }), TypeError);
  assert.throws(() => Object.assign(PROBLEMS.no_image, { status: 200 }), TypeError);
});

test('an HttpProblem becomes the problem that it says', () => {
  const errors = [{ parameter: 'classes', detail: 'no class unicorn' }];
  const error = new HttpProblem('invalid_parameter', 'no class unicorn', {
    errors,
    index: 0,
    cause: new Error('secret'),
  });
  assert.equal(error.status, 400);
  assert.deepEqual(toProblem(error, REQUEST), {
    type: 'urn:thinlens:problem:invalid_parameter',
    title: 'Invalid parameter',
    status: 400,
    detail: 'no class unicorn',
    instance: '/v1/detect',
    code: 'invalid_parameter',
    request_id: 'abc-1',
    errors,
    index: 0,
  });
});

test('a problem without errors or index has neither property', () => {
  const problem = toProblem(new HttpProblem('not_found', 'nothing at /x', { errors: [] }), REQUEST);
  assert.deepEqual(Object.keys(problem).sort(), [
    'code',
    'detail',
    'instance',
    'request_id',
    'status',
    'title',
    'type',
  ]);
});

class ImageError extends Error {
  readonly code = 'undecodable_image';
}

const coded: [string, unknown, { code: ProblemCode; status: number; detail: string; index?: number }][] = [
  [
    'an error of another class with a code of the table',
    new ImageError('the JPEG ends early'),
    { code: 'undecodable_image', status: 422, detail: 'the JPEG ends early' },
  ],
  [
    'a plain object, as it comes out of another process',
    { code: 'image_too_large', message: '9000x9000 pixels', index: 2 },
    { code: 'image_too_large', status: 413, detail: '9000x9000 pixels', index: 2 },
  ],
  [
    'a code without a message',
    { code: 'overloaded' },
    { code: 'overloaded', status: 503, detail: PROBLEMS.overloaded.meaning },
  ],
  [
    'a path that cannot be decoded',
    new URIError('URI malformed'),
    { code: 'not_found', status: 404, detail: 'the path is not valid percent-encoding' },
  ],
];
for (const [name, thrown, want] of coded) {
  test(`toProblem of ${name}`, () => {
    const { code, status, detail, index } = toProblem(thrown, REQUEST);
    assert.deepEqual({ code, status, detail, ...(index !== undefined && { index }) }, want);
  });
}

const unknown: [string, unknown][] = [
  ['an error', new Error('password=hunter2')],
  ['an error of the system', Object.assign(new Error("ENOENT: '/hunter2'"), { code: 'ENOENT' })],
  ['a code that is a property of every object', { code: 'constructor', message: 'hunter2' }],
  ['a code that is no text', { code: 400, message: 'hunter2' }],
  ['text', 'hunter2'],
  ['undefined', undefined],
  ['null', null],
];
for (const [name, thrown] of unknown) {
  test(`of ${name} that nobody foresaw, nothing is sent`, () => {
    const problem = toProblem(thrown, REQUEST);
    assert.equal(problem.code, 'internal_error');
    assert.equal(problem.status, 500);
    assert.doesNotMatch(JSON.stringify(problem), /hunter2|ENOENT|\.js|\.ts|\bat /);
  });
}

test('isProblemCode knows the codes and nothing else', () => {
  assert.ok(isProblemCode('no_image'));
  for (const value of ['toString', '__proto__', 'No_image', '', undefined, 400])
    assert.equal(isProblemCode(value), false);
});

test('docs/reference/ is what the code says', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/generate-docs.js', '--check'], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});
