// openapi/openapi.yaml, which the build turns into JSON, read once, and what the rest of the code asks it for.
import { readFileSync } from 'node:fs';
import type { operations } from '../../openapi/types.ts';
import type { ParameterSchema, QueryParameter } from './query.ts';

/** Name of an operation of the document. */
export type OperationId = keyof operations;

/** A JSON object of unknown content. */
export type Json = { readonly [key: string]: unknown };

/** The parts of a media type, a response and an operation that are used here, with references resolved. */
export interface MediaType {
  readonly schema?: Json;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}
export interface Response {
  readonly description: string;
  readonly content?: Readonly<Record<string, MediaType>>;
  readonly headers?: Json;
}
export interface Operation {
  readonly operationId: OperationId;
  readonly path: string;
  /** In capitals. */
  readonly method: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, MediaType>> };
  readonly responses: Readonly<Record<string, Response>>;
}
interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'header' | 'path' | 'cookie';
  readonly required?: boolean;
  readonly explode?: boolean;
  readonly schema: ParameterSchema;
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

// dist/openapi/, seen from dist/server/http/.
const DOCUMENT = load(new URL('../../openapi/openapi.json', import.meta.url));
const OPERATIONS = collect(DOCUMENT);

/** The document as it was written, for GET /openapi.json. Don't change it. */
export function openapiDocument(): Json {
  return DOCUMENT;
}

/** Every operation of the document, in its order. */
export function allOperations(): readonly Operation[] {
  return [...OPERATIONS.values()];
}

/**
 * One operation, with references resolved.
 * @throws Error for an id that the document does not have
 */
export function operation(id: OperationId): Operation {
  const found = OPERATIONS.get(id);
  if (!found) throw new Error(`openapi.yaml has no operation '${id}'`);
  return found;
}

/** The query parameters of an operation, in the document's order. */
export function queryParameters(id: OperationId): QueryParameter[] {
  return operation(id)
    .parameters.filter((parameter) => parameter.in === 'query')
    .map(({ name, schema, required = false, explode = true }) => ({
      name,
      schema,
      required,
      repeats: explode,
    }));
}

function load(url: URL): Json {
  return JSON.parse(readFileSync(url, 'utf8'));
}

function collect(document: Json): Map<OperationId, Operation> {
  const { paths } = resolve(document, document) as { paths: Record<string, Record<string, Operation>> };
  const found = new Map<OperationId, Operation>();
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (!METHODS.includes(method)) continue;
      const parameters = operation.parameters ?? [];
      found.set(operation.operationId, { ...operation, path, method: method.toUpperCase(), parameters });
    }
  }
  return found;
}

/** A copy of `node` in which each local `$ref` is replaced by what it points to; keywords beside a `$ref` win. */
function resolve(node: unknown, document: Json): unknown {
  if (Array.isArray(node)) return node.map((item) => resolve(item, document));
  if (typeof node !== 'object' || node === null) return node;
  const { $ref, ...own } = node as Record<string, unknown>;
  const copy = Object.fromEntries(Object.entries(own).map(([key, value]) => [key, resolve(value, document)]));
  if (typeof $ref !== 'string') return copy;
  return { ...(resolve(target($ref, document), document) as object), ...copy };
}

function target(reference: string, document: Json): unknown {
  let node: unknown = document;
  for (const segment of reference.replace(/^#\//, '').split('/')) {
    node = (node as Json | undefined)?.[segment.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  if (node === undefined) throw new Error(`openapi.yaml refers to '${reference}', which it does not have`);
  return node;
}
