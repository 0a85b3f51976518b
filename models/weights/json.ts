const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The first key that an object of `json` has twice, which JSON.parse passes over in silence (the last one wins).
 * @param json text that JSON.parse accepts; anything else gives an arbitrary answer or a SyntaxError
 */
export function repeatedKey(json: string): string | undefined {
  // One set an open object, none an open array.
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < json.length; at++) {
    const char = json.charCodeAt(at);
    if (char === 0x7b) open.push(new Set());
    else if (char === 0x5b) open.push(undefined);
    else if (char === 0x7d || char === 0x5d) open.pop();
    if (char !== QUOTE) continue;
    const start = at;
    for (at++; at < json.length && json.charCodeAt(at) !== QUOTE; at++) {
      if (json.charCodeAt(at) === BACKSLASH) at++;
    }
    const keys = open.at(-1);
    if (!keys || !endsKey(json, at + 1)) continue;
    const key: string = JSON.parse(json.slice(start, at + 1));
    if (keys.has(key)) return key;
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
