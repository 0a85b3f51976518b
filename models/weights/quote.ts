const LONGEST = 100;

/** A name out of an untrusted file for an error message: in quotes, short, without control characters. */
export function quote(name: string): string {
  const short = name.length > LONGEST ? `${name.slice(0, LONGEST)}...` : name;
  return `'${short.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')}'`;
}
