// Query strings carry text only; a parameter's schema says what the text should be.
/** The part of JSON Schema that query parameters use, with references resolved. */
export interface ParameterSchema {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'array';
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: ParameterSchema;
  readonly prefixItems?: readonly ParameterSchema[];
  readonly title?: string;
  readonly default?: unknown;
  readonly 'x-corners'?: boolean;
}

/** One query parameter of an operation. */
export interface QueryParameter {
  readonly name: string;
  readonly schema: ParameterSchema;
  /** Whether a list may be spread over several occurrences of the parameter, beside commas. */
  readonly repeats: boolean;
  readonly required: boolean;
}

/** Text that is not what the schema asks for. */
export class CoercionError extends Error {
  override readonly name = 'CoercionError';
}

/**
 * Turns the text of one query parameter into the type that its schema names. Ranges, allowed values and lengths are
 * left to the validator.
 * @param given the text of each occurrence, percent-decoded
 * @throws CoercionError whose message names the parameter, what was given and what is allowed
 */
export function coerce(parameter: QueryParameter, given: readonly string[]): unknown {
  const { name, schema, repeats } = parameter;
  if (given.length > 1 && !(schema.type === 'array' && repeats)) {
    throw new CoercionError(`${name} may be given once only, got it ${given.length} times: ${quote(given)}`);
  }
  if (given.some((text) => text.trim() === '')) {
    throw new CoercionError(
      `${name} is empty: it must be ${expectation(schema)}; leave it out for the default`,
    );
  }
  if (schema.type !== 'array') return scalar(schema, given[0]!, () => refusal(parameter, given));
  const items = given.flatMap((text) => text.split(',')).map((text) => text.trim());
  if (items.includes('')) {
    throw new CoercionError(
      `${name} has an empty item: it must be ${expectation(schema)}, got ${quote(given)}`,
    );
  }
  return items.map((text, index) => {
    const item = schema.prefixItems?.[index] ?? schema.items;
    return item ? scalar(item, text, () => refusal(parameter, given)) : text;
  });
}

/** What is said of a value that its parameter cannot have. */
export function refusal({ name, schema }: QueryParameter, given: readonly string[]): string {
  return `${name} must be ${expectation(schema)}, got ${quote(given)}`;
}

const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

function scalar(schema: ParameterSchema, text: string, refuse: () => string): unknown {
  switch (schema.type) {
    case 'integer': {
      const value = Number(text);
      if (!INTEGER.test(text) || !Number.isSafeInteger(value)) throw new CoercionError(refuse());
      return value;
    }
    case 'number': {
      // The pattern keeps out 'Infinity', '0x10' and ' 1'; 1e400 passes it and is infinite.
      const value = Number(text);
      if (!NUMBER.test(text) || !Number.isFinite(value)) throw new CoercionError(refuse());
      return value;
    }
    case 'boolean':
      if (text !== 'true' && text !== 'false') throw new CoercionError(refuse());
      return text === 'true';
    default:
      return text;
  }
}

/** What a schema allows, in words that follow "must be". */
export function expectation(schema: ParameterSchema): string {
  if (schema.enum) return schema.enum.length === 1 ? `${schema.enum[0]}` : `one of ${schema.enum.join(', ')}`;
  switch (schema.type) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `an integer${range(schema)}`;
    case 'number':
      return `a number${range(schema)}`;
    case 'array':
      return list(schema);
    default:
      return 'text';
  }
}

function range({ minimum, maximum }: ParameterSchema): string {
  if (minimum !== undefined && maximum !== undefined) return ` between ${minimum} and ${maximum}`;
  if (minimum !== undefined) return ` of at least ${minimum}`;
  if (maximum !== undefined) return ` of at most ${maximum}`;
  return '';
}

function list(schema: ParameterSchema): string {
  const { prefixItems } = schema;
  if (!prefixItems) return 'a list separated by commas';
  const names = prefixItems.map(({ title }, index) => title ?? `item ${index + 1}`);
  const corners = schema['x-corners'] ? ` with ${names[0]} < ${names[2]} and ${names[1]} < ${names[3]}` : '';
  const kind = prefixItems[0] ? `numbers${range(prefixItems[0])}` : 'numbers';
  return `${prefixItems.length} ${kind}, ${names.join(',')},${corners}`.replace(/,$/, '');
}

const SHOWN = 80;

/** Text of the caller's as it may stand in a message: short, quoted, and without control characters. */
export function quote(given: string | readonly string[]): string {
  const text = typeof given === 'string' ? given : given.join(' and ');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal or a log
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
  return plain.length > SHOWN ? `'${plain.slice(0, SHOWN)}...'` : `'${plain}'`;
}
