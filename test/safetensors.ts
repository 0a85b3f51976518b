import { readFileSync } from 'node:fs';

/** Reads a safetensors fixture: little-endian header length, JSON header, raw data. */
export function readFixture(
  path: string,
): Map<string, { shape: number[]; data: Float32Array | BigInt64Array }> {
  const bytes = readFileSync(path);
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + headerLength).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const start = 8 + headerLength;
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, { dtype, shape, data_offsets }]) => {
        const raw = bytes.subarray(start + data_offsets[0], start + data_offsets[1]);
        const { buffer } = Uint8Array.from(raw);
        return [
          name,
          { shape, data: dtype === 'I64' ? new BigInt64Array(buffer) : new Float32Array(buffer) },
        ];
      }),
  );
}
