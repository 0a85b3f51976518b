const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Whether a value of JSON is an object, and no array. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What JSON.parse lets pass in an untrusted text. */
export type JsonFault = { readonly repeated: string } | { readonly deeperThan: number };

/**
 * Looks for what JSON.parse would pass over: a key that an object has twice (the last one wins), and nesting that costs
 * fifty times the text's memory.
 * @param json any text; where it is not JSON the answer means nothing, and JSON.parse refuses it
 * @param maxDepth how deep objects and arrays may lie in each other
 */
export function jsonFault(json: string, maxDepth: number): JsonFault | undefined {
  // One set an open object, none an open array.
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < json.length; at++) {
    const char = json.charCodeAt(at);
    if (char === OPEN_BRACE) open.push(new Set());
    else if (char === OPEN_BRACKET) open.push(undefined);
    else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) open.pop();
    if (open.length > maxDepth) return { deeperThan: maxDepth };
    if (char !== QUOTE) continue;
    const start = at;
    for (at++; at < json.length && json.charCodeAt(at) !== QUOTE; at++) {
      if (json.charCodeAt(at) === BACKSLASH) at++;
    }
    const keys = open.at(-1);
    if (!keys || !endsKey(json, at + 1)) continue;
    let key: string;
    try {
      key = JSON.parse(json.slice(start, at + 1));
    } catch {
      return undefined;
    }
    if (keys.has(key)) return { repeated: key };
    keys.add(key);
  }
  return undefined;
}

/** Whether a colon follows, after white space. */
function endsKey(json: string, from: number): boolean {
  let at = from;
  while (' \t\n\r'.includes(json.charAt(at) || '\0')) at++;
  return json.charAt(at) === ':';
}
