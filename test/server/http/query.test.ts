import assert from 'node:assert/strict';
import { parse } from 'node:querystring';
import { test } from 'node:test';
import { type Query, validateQuery } from '../../../server/http/contract.ts';
import { HttpProblem } from '../../../server/http/problem.ts';

const DEFAULTS = {
  score_threshold: 0.3,
  iou_threshold: 0.6,
  max_detections: 100,
  agnostic_nms: false,
};

function detect(query: string): Query<'detect'> {
  return validateQuery('detect', parse(query));
}

function refusal(query: string): HttpProblem {
  try {
    detect(query);
  } catch (error) {
    assert.ok(error instanceof HttpProblem, String(error));
    return error;
  }
  assert.fail(`'${query}' was accepted`);
}

test('an empty query has exactly the defaults of the document', () => {
  assert.deepEqual(detect(''), DEFAULTS);
});

const accepted: [string, Partial<Query<'detect'>>][] = [
  ['model=ssdlite_mobilenet_v2_coco', { model: 'ssdlite_mobilenet_v2_coco' }],
  ['precision=int8', { precision: 'int8' }],
  ['score_threshold=0', { score_threshold: 0 }],
  ['score_threshold=1', { score_threshold: 1 }],
  ['score_threshold=.5', { score_threshold: 0.5 }],
  ['score_threshold=5e-1', { score_threshold: 0.5 }],
  ['iou_threshold=1.', { iou_threshold: 1 }],
  ['max_detections=1', { max_detections: 1 }],
  ['max_detections=1000', { max_detections: 1000 }],
  ['agnostic_nms=true', { agnostic_nms: true }],
  ['agnostic_nms=false', { agnostic_nms: false }],
  ['classes=person', { classes: ['person'] }],
  ['classes=person,dog', { classes: ['person', 'dog'] }],
  ['classes=person,dog&classes=3', { classes: ['person', 'dog', '3'] }],
  ['classes=traffic%20light,+stop+sign', { classes: ['traffic light', 'stop sign'] }],
  ['region=1,2,30.5,40', { region: [1, 2, 30.5, 40] }],
  ['region=0,%200,%2010,%2010', { region: [0, 0, 10, 10] }],
];
for (const [query, want] of accepted) {
  test(`?${query}`, () => assert.deepEqual(detect(query), { ...DEFAULTS, ...want }));
}

const THRESHOLD = 'must be a number between 0 and 1';
const COUNT = 'max_detections must be an integer between 1 and 1000';
const REGION =
  'region must be 4 numbers of at least 0, x_min,y_min,x_max,y_max, with x_min < x_max and y_min < y_max';
const refused: [string, string][] = [
  ['score_threshold=7', `score_threshold ${THRESHOLD}, got '7'`],
  ['score_threshold=-0.1', `score_threshold ${THRESHOLD}, got '-0.1'`],
  ['score_threshold=1.0000001', `score_threshold ${THRESHOLD}, got '1.0000001'`],
  ['score_threshold=abc', `score_threshold ${THRESHOLD}, got 'abc'`],
  ['score_threshold=NaN', `score_threshold ${THRESHOLD}, got 'NaN'`],
  ['score_threshold=Infinity', `score_threshold ${THRESHOLD}, got 'Infinity'`],
  ['score_threshold=1e400', `score_threshold ${THRESHOLD}, got '1e400'`],
  ['score_threshold=0x1', `score_threshold ${THRESHOLD}, got '0x1'`],
  ['score_threshold=0,5', `score_threshold ${THRESHOLD}, got '0,5'`],
  ['score_threshold=%200.5', `score_threshold ${THRESHOLD}, got ' 0.5'`],
  [
    'score_threshold=',
    `score_threshold is empty: it must be a number between 0 and 1; leave it out for the default`,
  ],
  [
    'score_threshold=%20',
    `score_threshold is empty: it must be a number between 0 and 1; leave it out for the default`,
  ],
  [
    'score_threshold=0.1&score_threshold=0.2',
    `score_threshold may be given once only, got it 2 times: '0.1 and 0.2'`,
  ],
  ['max_detections=0', `${COUNT}, got '0'`],
  ['max_detections=1001', `${COUNT}, got '1001'`],
  ['max_detections=2.5', `${COUNT}, got '2.5'`],
  ['max_detections=1e2', `${COUNT}, got '1e2'`],
  ['max_detections=99999999999999999999', `${COUNT}, got '99999999999999999999'`],
  ['precision=fp16', `precision must be one of fp32, int8, got 'fp16'`],
  ['precision=FP32', `precision must be one of fp32, int8, got 'FP32'`],
  ['agnostic_nms=yes', `agnostic_nms must be true or false, got 'yes'`],
  ['agnostic_nms', `agnostic_nms is empty: it must be true or false; leave it out for the default`],
  ['model=', `model is empty: it must be text; leave it out for the default`],
  [
    'classes=person,,dog',
    `classes has an empty item: it must be a list separated by commas, got 'person,,dog'`,
  ],
  ['classes=person,', `classes has an empty item: it must be a list separated by commas, got 'person,'`],
  ['region=1,2,3', `${REGION}, got '1,2,3'`],
  ['region=1,2,3,4,5', `${REGION}, got '1,2,3,4,5'`],
  ['region=1,2,x,4', `${REGION}, got '1,2,x,4'`],
  ['region=-1,2,3,4', `${REGION}, got '-1,2,3,4'`],
  ['region=5,2,5,4', `${REGION}, got '5,2,5,4'`],
  ['region=1,4,5,2', `${REGION}, got '1,4,5,2'`],
  ['region=1,2&region=3,4', `region may be given once only, got it 2 times: '1,2 and 3,4'`],
];
for (const [query, detail] of refused) {
  test(`?${query} is refused`, () => {
    const error = refusal(query);
    assert.equal(error.code, 'invalid_parameter');
    assert.equal(error.message, detail);
    assert.deepEqual(error.errors, [{ parameter: query.split('=')[0], detail }]);
  });
}

test('unknown parameters are refused by name, with the names that are known', () => {
  const error = refusal('treshold=0.5&score_threshold=0.5');
  assert.equal(error.code, 'unknown_parameter');
  assert.equal(
    error.message,
    "unknown parameter 'treshold': this operation takes model, precision, score_threshold, iou_threshold, max_detections, classes, agnostic_nms, region",
  );
  assert.equal(error.errors?.[0]?.parameter, 'treshold');
});

test('names that every object has are unknown parameters too', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'classes[]']) {
    assert.equal(refusal(`${name}=1`).code, 'unknown_parameter', name);
  }
});

test('an operation without parameters says so', () => {
  assert.deepEqual(validateQuery('listModels', {}), {});
  assert.throws(() => validateQuery('listModels', { page: '2' }), {
    code: 'unknown_parameter',
    message: "unknown parameter 'page': this operation takes no query parameters",
  });
});

test('everything that is wrong is said at once', () => {
  const error = refusal('score_threshold=7&max_detections=x&limit=3');
  assert.equal(error.code, 'unknown_parameter');
  assert.deepEqual(error.errors?.map(({ parameter }) => parameter).sort(), [
    'limit',
    'max_detections',
    'score_threshold',
  ]);
  for (const { detail } of error.errors ?? []) assert.ok(error.message.includes(detail));
});

test('a thousand mistakes are not answered by a thousand sentences', () => {
  const query = Array.from({ length: 1000 }, (_, index) => `p${index}=1`).join('&');
  assert.ok(refusal(query).message.length < 4000);
});

test('what the caller wrote is shown short and without control characters', () => {
  assert.match(refusal(`score_threshold=${'9'.repeat(5000)}`).message, /got '9{80}\.\.\.'$/);
  const { message } = refusal('precision=%1b[31mfp32%0d%0aX: y');
  assert.equal(message, "precision must be one of fp32, int8, got '\ufffd[31mfp32\ufffd\ufffdX: y'");
});

test('values that are no text, as nested query parsers make them, are refused', () => {
  assert.throws(() => validateQuery('detect', { model: { $ne: '' } }), { code: 'invalid_parameter' });
  assert.throws(() => validateQuery('detect', { classes: ['person', { a: 'b' }] }), {
    code: 'invalid_parameter',
  });
});
