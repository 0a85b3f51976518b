const LONGEST = 100;

/** A name out of an untrusted file for an error message: in quotes, short, without control characters. */
export function quote(name: string): string {
  const short = name.length > LONGEST ? `${name.slice(0, LONGEST)}...` : name;
  return `'${short.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')}'`;
}

const MOST_SIZES = 8;

/** A shape out of an untrusted file for an error message, which may have any number of dimensions. */
export function shapeText(shape: readonly number[]): string {
  const more = shape.length > MOST_SIZES ? `, ... ${shape.length} dimensions` : '';
  return `[${shape.slice(0, MOST_SIZES).join(', ')}${more}]`;
}
