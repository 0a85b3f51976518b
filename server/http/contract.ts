// Holds requests, and in the tests responses, to openapi/openapi.yaml.
import type { ErrorObject, ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { operations, ProblemError } from '../../openapi/types.ts';
import { allOperations, type Json, type OperationId, operation, queryParameters } from './document.ts';
import { HttpProblem } from './problem.ts';
import { CoercionError, coerce, type QueryParameter, quote, refusal } from './query.ts';

export { type OperationId, openapiDocument } from './document.ts';

type Given<Id extends OperationId> = NonNullable<operations[Id]['parameters']['query']>;

/** Parameters to which the document gives a default: after validation they are always there. */
interface Defaulted {
  detect: 'precision' | 'score_threshold' | 'iou_threshold' | 'max_detections' | 'agnostic_nms';
  segment: 'precision' | 'format' | 'tolerance' | 'multi_scale' | 'flip' | 'confidence' | 'overlay';
  getBackbone: 'width' | 'head';
}

/** The query of an operation after validation: typed, and with the document's defaults. */
export type Query<Id extends OperationId> = [Given<Id>] extends [never]
  ? Readonly<Record<never, never>>
  : Id extends keyof Defaulted
    ? Omit<Given<Id>, Defaulted[Id]> & Required<Pick<Given<Id>, Defaulted[Id] & keyof Given<Id>>>
    : Given<Id>;

/** The JSON body of an operation. */
export type JsonBody<Id extends OperationId> = operations[Id] extends {
  requestBody: { content: { 'application/json': infer Body } };
}
  ? Body
  : never;

// A query is short (the URL's length is bounded), so all that is wrong with it is said at once. A body is not: an
// array of a million numbers must not make a million errors.
const everyError = compiler({ allErrors: true, useDefaults: true });
const firstError = compiler({ allErrors: false });

interface OperationQuery {
  readonly parameters: ReadonlyMap<string, QueryParameter>;
  readonly validate: ValidateFunction;
}

const QUERIES = new Map<OperationId, OperationQuery>();
const BODIES = new Map<OperationId, ValidateFunction>();
for (const { operationId, requestBody } of allOperations()) {
  QUERIES.set(operationId, compileQuery(operationId));
  const schema = requestBody?.content['application/json']?.schema;
  if (schema) BODIES.set(operationId, firstError.compile(schema));
}

/** No more errors than this in one problem. */
const MOST_ERRORS = 10;

/**
 * The query of an operation: text turned into the types of the document, and its defaults applied.
 * @param raw names with their text, or with several texts where a parameter was repeated (express' `req.query`)
 * @throws HttpProblem `unknown_parameter` naming those that the operation knows, or `invalid_parameter` naming each
 *   parameter, what was given and what is allowed
 */
export function validateQuery<Id extends OperationId>(
  id: Id,
  raw: Readonly<Record<string, unknown>>,
): Query<Id> {
  const { parameters, validate } = QUERIES.get(id)!;
  const given = new Map<string, readonly string[]>();
  const values: Record<string, unknown> = {};
  const unknown: ProblemError[] = [];
  const invalid: ProblemError[] = [];

  for (const [name, value] of Object.entries(raw)) {
    const parameter = parameters.get(name);
    if (!parameter) {
      unknown.push({ parameter: name, detail: unknownParameter(name, parameters) });
      continue;
    }
    const texts: unknown[] = Array.isArray(value) ? value : [value];
    given.set(name, texts.map(String));
    try {
      if (!texts.every((text) => typeof text === 'string'))
        throw new CoercionError(`${name} must be plain text`);
      values[name] = coerce(parameter, texts);
    } catch (error) {
      if (!(error instanceof CoercionError)) throw error;
      invalid.push({ parameter: name, detail: error.message });
    }
  }

  if (!validate(values)) invalid.push(...queryErrors(validate.errors ?? [], parameters, given));
  const errors = [...unknown, ...invalid].slice(0, MOST_ERRORS);
  if (errors.length > 0) {
    const detail = errors.map((error) => error.detail).join('; ');
    throw new HttpProblem(unknown.length > 0 ? 'unknown_parameter' : 'invalid_parameter', detail, { errors });
  }
  return values as Query<Id>;
}

/**
 * The JSON body of an operation, held to its schema.
 * @throws HttpProblem `invalid_body` with a pointer to what is wrong
 */
export function validateJsonBody<Id extends OperationId>(id: Id, value: unknown): JsonBody<Id> {
  const validate = BODIES.get(id);
  if (!validate) throw new Error(`operation '${id}' takes no JSON body`);
  if (!validate(value)) {
    const error = bodyError(id, validate.errors![0]!);
    throw new HttpProblem('invalid_body', error.detail, { errors: [error] });
  }
  return value as JsonBody<Id>;
}

const RESPONSES = new Map<string, ValidateFunction>();

/**
 * Holds a response to the document; for tests.
 * @param contentType the response's Content-Type, parameters and all
 * @param body the parsed JSON of a JSON type, the text of any other
 * @throws Error that lists everything in which they differ: a status or a type that the operation does not have,
 *   a property that is missing, unknown or of another type
 */
export function assertResponse(id: OperationId, status: number, contentType: string, body: unknown): void {
  const { responses } = operation(id);
  const response = responses[status];
  if (!response) throw new Error(`${id} answers ${Object.keys(responses).join(', ')}, not ${status}`);
  const type = contentType.split(';')[0]!.trim().toLowerCase();
  const media = response.content?.[type];
  if (!media?.schema) {
    throw new Error(`${id} answers ${status} as ${Object.keys(response.content ?? {})}, not as '${type}'`);
  }
  const key = `${id} ${status} ${type}`;
  const validate = RESPONSES.get(key) ?? everyError.compile(media.schema);
  RESPONSES.set(key, validate);
  if (!validate(body))
    throw new Error(`${key} is not as documented: ${everyError.errorsText(validate.errors)}`);
}

function compiler(options: { allErrors: boolean; useDefaults?: boolean }): Ajv2020 {
  // The document's own schemas were held to JSON Schema when it was tested; doing it at each start takes longer than compiling them.
  const ajv = new Ajv2020({ ...options, strict: true, verbose: true, validateSchema: false });
  formats.default(ajv);
  // Of x_min,y_min,x_max,y_max, JSON Schema alone cannot say that the second corner lies beyond the first.
  ajv.addKeyword({
    keyword: 'x-corners',
    type: 'array',
    validate: (_: boolean, box: readonly number[]) => box[0]! < box[2]! && box[1]! < box[3]!,
  });
  return ajv;
}

function compileQuery(id: OperationId): OperationQuery {
  const parameters = queryParameters(id);
  const validate = everyError.compile({
    type: 'object',
    properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
    required: parameters.filter(({ required }) => required).map(({ name }) => name),
  });
  return { parameters: new Map(parameters.map((parameter) => [parameter.name, parameter])), validate };
}

function unknownParameter(name: string, parameters: ReadonlyMap<string, QueryParameter>): string {
  const known = [...parameters.keys()].join(', ');
  return `unknown parameter ${quote(name)}: this operation takes ${known || 'no query parameters'}`;
}

/** One error a parameter, however many keywords it fails. */
function queryErrors(
  errors: readonly ErrorObject[],
  parameters: ReadonlyMap<string, QueryParameter>,
  given: ReadonlyMap<string, readonly string[]>,
): ProblemError[] {
  const details = new Map<string, string>();
  for (const { instancePath, keyword, params } of errors) {
    const name = keyword === 'required' ? String(params.missingProperty) : instancePath.split('/')[1]!;
    const texts = given.get(name);
    if (texts) details.set(name, refusal(parameters.get(name)!, texts));
    else details.set(name, `${name} is required`);
  }
  return [...details].map(([parameter, detail]) => ({ parameter, detail }));
}

/** What is wrong with a body, from the one error that the validator stopped at. */
function bodyError(id: OperationId, error: ErrorObject): ProblemError {
  const { instancePath: pointer, data, parentSchema } = error;
  const where = pointer === '' ? 'the body' : `'${pointer}'`;
  const properties = (parentSchema as Json).properties;
  if (typeof properties === 'object' && properties !== null && isObject(data)) {
    const known = Object.keys(properties);
    const choice = known.map((name) => `'${name}'`).join(' or ');
    const stranger = Object.keys(data).find((name) => !known.includes(name));
    if (stranger !== undefined) {
      const option = queryParameters(id).some(({ name }) => name === stranger);
      const advice = option ? 'options go in the query string' : `there is ${choice}`;
      return {
        pointer: `${pointer}/${pointerSegment(stranger)}`,
        detail: `${where} has ${quote(stranger)}: ${advice}`,
      };
    }
    if (error.keyword === 'minProperties') return { pointer, detail: `${where} must have ${choice}` };
    if (error.keyword === 'maxProperties')
      return { pointer, detail: `${where} must have ${choice}, not both` };
  }
  if (error.keyword === 'minItems') return { pointer, detail: `${where} is empty` };
  if (error.keyword === 'type') {
    return { pointer, detail: `${where} must be a JSON ${error.params.type}, got ${kind(data)}` };
  }
  return { pointer, detail: `${where} ${error.message}` };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
}

function pointerSegment(segment: string): string {
  return segment.slice(0, 80).replaceAll('~', '~0').replaceAll('/', '~1');
}
