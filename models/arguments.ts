import { distance } from 'fastest-levenshtein';
import type { Graph } from './graph/graph.ts';

/** An argument that cannot be used. The message names it, what it was and what would be right. */
export class ArgumentError extends RangeError {
  override readonly name = 'ArgumentError';
  /** As the caller wrote it: `classes`, `backboneStyle.epsilon`. */
  readonly argument: string;

  constructor(argument: string, problem: string) {
    super(`${argument} ${problem}`);
    this.argument = argument;
  }
}

/** What an option must be. */
export interface OptionRule {
  /** In words, to follow "must be". */
  readonly right: string;
  readonly fits?: (value: unknown) => boolean;
  /** Of an object, what its own options must be. */
  readonly options?: OptionTable;
  readonly required?: boolean;
}

/** The options that there are, by name. */
export type OptionTable = Readonly<Record<string, OptionRule>>;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const wholeNumber = ([low, high]: readonly [number, number]): OptionRule => ({
  right: `a whole number from ${low} to ${high}`,
  fits: (value) => Number.isInteger(value) && Number(value) >= low && Number(value) <= high,
});

export const positiveNumber = (high = Number.MAX_VALUE): OptionRule => ({
  right: `a number above 0${high < Number.MAX_VALUE ? `, ${high} at most` : ''}`,
  fits: (value) => typeof value === 'number' && value > 0 && value <= high,
});

export const oneOf = (values: readonly (string | number)[]): OptionRule => ({
  right: orList(values),
  fits: (value) => values.some((known) => known === value),
});

export const ofType = (type: 'string' | 'boolean'): OptionRule => ({
  right: `a ${type}`,
  fits: (value) => typeof value === type,
});

/** An array, of so many where a length is given, whose values a test holds for. */
export const listOf = (right: string, test: (value: unknown) => boolean, length?: number): OptionRule => ({
  right,
  fits: (value) =>
    Array.isArray(value) &&
    Array.from(value).every(test) &&
    (length === undefined || value.length === length),
});

/** 1, 2 or 3 */
export function orList(values: readonly (string | number)[]): string {
  return values.join(', ').replace(/, ([^,]*)$/, ' or $1');
}

/**
 * Holds what a caller gave to the table of what there is. An option that is undefined is one that was not given.
 * @param taker what takes the options: a function's name, or the option that they are within
 * @throws ArgumentError naming the first that is not there, not right or missing
 */
export function checkOptions(taker: string, table: OptionTable, given: unknown, path = ''): void {
  const names = Object.keys(table);
  if (!isObject(given)) {
    throw new ArgumentError(
      'options',
      `of ${taker} must be an object of ${names.join(', ')}, got ${described(given)}`,
    );
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(table, name)) continue;
    const near = nearest(name, names);
    const meant = near === undefined ? '' : `; did you mean '${near}'?`;
    throw new ArgumentError(
      `${path}${name}`,
      `is no option of ${taker}: there are ${names.join(', ')}${meant}`,
    );
  }
  for (const [name, { right, fits, options, required = false }] of Object.entries(table)) {
    const value = given[name];
    if (value === undefined && !required) continue;
    if (options && isObject(value)) checkOptions(`${path}${name}`, options, value, `${path}${name}.`);
    else if (!fits?.(value))
      throw new ArgumentError(`${path}${name}`, `must be ${right}, got ${described(value)}`);
  }
}

/** @throws ArgumentError where `value` is no Graph, saying where the likeliest slip has its own */
export function checkGraph(taker: string, value: unknown): asserts value is Graph {
  if (isGraph(value)) return;
  const slip =
    isObject(value) && isGraph(value.graph)
      ? `got an object that has one: pass its .graph, as in ${taker}(model.graph)`
      : `such as model.graph of what buildModel returns, got ${described(value)}`;
  throw new ArgumentError('graph', `of ${taker} must be a Graph, ${slip}`);
}

/** @throws ArgumentError where `value` is no Map, which is what weights come in */
export function checkWeights(taker: string, value: unknown): void {
  if (value instanceof Map) return;
  throw new ArgumentError('weights', `of ${taker} must be a Map of tensors by name, got ${described(value)}`);
}

function isGraph(value: unknown): boolean {
  return (
    isObject(value) &&
    [value.inputs, value.nodes, value.outputs].every(Array.isArray) &&
    value.values instanceof Map
  );
}

/** A value for an error message; of a string that reads as a number it says that it is one. */
export function described(value: unknown): string {
  if (typeof value === 'string') {
    const isNumeric = value.trim() !== '' && !Number.isNaN(Number(value));
    return isNumeric ? `'${value}', a string` : `'${value}'`;
  }
  if (Array.isArray(value)) return `[${value.map(described).join(', ')}]`;
  if (isObject(value)) return `an object of ${Object.keys(value).join(', ') || 'nothing'}`;
  return typeof value === 'function' ? 'a function' : String(value);
}

/** The one of `names` that `wrong` begins, or that takes the fewest changed letters, half of them at most; case and underscores are free. */
function nearest(wrong: string, names: readonly string[]): string | undefined {
  if (wrong === '') return undefined;
  const plain = (name: string) => name.toLowerCase().replaceAll('_', '');
  const [best] = names
    .map((name) => ({
      name,
      edits: plain(name).startsWith(plain(wrong)) ? 0 : distance(plain(wrong), plain(name)),
    }))
    .sort((a, b) => a.edits - b.edits);
  return best && best.edits <= best.name.length / 2 ? best.name : undefined;
}
