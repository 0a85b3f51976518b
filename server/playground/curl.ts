// The request as a command for a POSIX shell.

/** Parameters of a query; those without a value are left out. */
export type Query = Readonly<Record<string, string | undefined>>;

/** Where the bytes of the photo come from. */
export type CurlSource =
  | { readonly kind: 'file'; readonly name: string }
  /** A sample, which the server itself has. */
  | { readonly kind: 'url'; readonly url: string };

/** Text as one word of a POSIX shell, quoted where it has to be. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A command that sends the photo's bytes to `url` and prints the answer. */
export function curlCommand(url: string, source: CurlSource): string {
  if (source.kind === 'url') {
    return `curl -s ${shellWord(source.url)} |\ncurl --data-binary @- \\\n${shellWord(url)}`;
  }
  // `@-` would be the standard input.
  const path = source.name === '-' ? './-' : source.name;
  return `curl --data-binary ${shellWord(`@${path}`)} \\\n${shellWord(url)}`;
}

/** A class as the query's `classes` takes it: by its label, or by its id where the label would be read as something else. */
export function classTerm({ classId, label }: { readonly classId: number; readonly label: string }): string {
  return label.includes(',') || label.trim() !== label || /^\d+$/.test(label) ? String(classId) : label;
}

/** `url` with a query. */
export function withQuery(url: string, query: Query): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value).replaceAll('%2C', ',')}`],
  );
  return pairs.length > 0 ? `${url}?${pairs.join('&')}` : url;
}
