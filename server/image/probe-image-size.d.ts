// probe-image-size ships no types; only the part that format.ts uses is declared.
declare module 'probe-image-size/sync.js' {
  type Parser = (bytes: Uint8Array) => { width: number; height: number } | undefined;
  const probe: { parsers: Record<'avif' | 'gif' | 'jpeg' | 'png' | 'tiff' | 'webp', Parser> };
  export default probe;
}
