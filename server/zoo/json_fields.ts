import { ImportError } from './checkpoint_file.ts';

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** No more of a wrong value than this is shown. */
const MOST_SHOWN = 80;

/** What a number may be. */
export interface NumberRange {
  /** Both ends belong to it. */
  readonly range: readonly [low: number, high: number];
  readonly whole?: boolean;
}

const fits = (value: unknown, { range: [low, high], whole = false }: NumberRange): value is number =>
  typeof value === 'number' && value >= low && value <= high && (!whole || Number.isInteger(value));

const described = ({ range: [low, high], whole = false }: NumberRange, one = true): string => {
  const kind = whole ? 'whole number' : 'number';
  return `${one ? `a ${kind}` : `three ${kind}s`} from ${low} to ${high}`;
};

/** Reads values out of a JSON object and says of each that is not what it must be which file it is in. */
export class Fields {
  readonly #json: Json;
  readonly #where: string;

  constructor(json: Json, where: string) {
    this.#json = json;
    this.#where = where;
  }

  number(key: string, wanted: NumberRange, fallback?: number): number {
    const value = this.#json[key] ?? fallback;
    if (!fits(value, wanted)) throw this.wrong(key, described(wanted));
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#json[key] ?? fallback;
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false');
    return value;
  }

  text(key: string): string {
    const value = this.#json[key];
    if (typeof value !== 'string') throw this.wrong(key, 'text');
    return value;
  }

  object(key: string): Fields {
    const value = this.#json[key];
    if (!isObject(value)) throw this.wrong(key, 'an object');
    return new Fields(value, `${this.#where}: ${key}`);
  }

  isArray(key: string): boolean {
    return Array.isArray(this.#json[key]);
  }

  array(key: string): readonly unknown[] {
    const value = this.#json[key];
    if (!Array.isArray(value)) throw this.wrong(key, 'an array');
    return value;
  }

  triple(key: string, wanted: NumberRange): readonly [number, number, number] {
    const values = this.#json[key];
    if (!Array.isArray(values) || values.length !== 3 || !values.every((value) => fits(value, wanted)))
      throw this.wrong(key, described(wanted, false));
    return values as [number, number, number];
  }

  /** One of a table's values. */
  choice<Value>(key: string, table: Readonly<Record<string, Value>>): Value {
    const text = this.text(key);
    if (Object.hasOwn(table, text)) return table[text] as Value;
    throw this.wrong(key, `one of ${Object.keys(table).join(', ')}`);
  }

  get entries(): [string, unknown][] {
    return Object.entries(this.#json);
  }

  /** What is wrong with a value. */
  wrong(key: string, wanted: string): ImportError {
    const found = JSON.stringify(this.#json[key]) ?? 'missing';
    const shown = found.length > MOST_SHOWN ? `${found.slice(0, MOST_SHOWN)}...` : found;
    return new ImportError(`${this.#where}: ${key} is ${shown}, and must be ${wanted}`);
  }
}
