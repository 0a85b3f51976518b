type Cell = string | number | boolean;

/** A table as CSV (RFC 4180): a line of names, then the rows; lines end with CR LF, and what needs quotes has them. */
export function toCsv(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const quoted = (cell: Cell) => {
    const text = String(cell);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head, ...rows].map((row) => `${row.map(quoted).join(',')}\r\n`).join('');
}
