import { createRequire } from 'node:module';
import type { ErrorObject } from 'ajv';
import type { FileSchemaName } from './file_schemas.ts';

interface Validator {
  (value: unknown): boolean;
  readonly errors?: readonly ErrorObject[] | null;
}

// Made by scripts/validators.js: ajv itself, which takes eighty modules and a tenth of a second, stays out of what starts.
const validators = createRequire(import.meta.url)('./validators.cjs') as Readonly<
  Record<FileSchemaName, Validator>
>;

/**
 * Whether a JSON value is what a file of the store must be.
 * @throws Error that names the first property that is wrong, and what it must be
 */
export function checkFile(name: FileSchemaName, value: unknown): void {
  const validate = validators[name];
  if (validate(value)) return;
  const [error] = validate.errors ?? [];
  const { instancePath = '', message = 'is not right', params = {} } = error ?? {};
  const { additionalProperty, allowedValue, allowedValues } = params;
  const named = additionalProperty ?? allowedValue ?? allowedValues;
  const which = named === undefined ? '' : `: ${[named].flat().join(', ')}`;
  throw new Error(`${instancePath.slice(1).replaceAll('/', '.') || 'it'} ${message}${which}`);
}
