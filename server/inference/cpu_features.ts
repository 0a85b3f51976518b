import { readFileSync } from 'node:fs';

/** Instructions that multiply bytes and add the products in 32 bits, by what Linux calls them. */
const X86 = ['avx512_vnni', 'avx_vnni', 'avx_vnni_int8', 'amx_int8'];
const ARM = ['asimddp', 'i8mm'];

function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

/**
 * The CPU's instruction for products of bytes, by its name in /proc/cpuinfo; without one, int8 is hardly faster than fp32. Nothing
 * also where it cannot be told: x86 on other systems than Linux.
 * @param cpuInfo text of /proc/cpuinfo
 */
export function byteProducts(
  cpuInfo = readCpuInfo(),
  { platform, arch }: { readonly platform: string; readonly arch: string } = process,
): string | undefined {
  const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(cpuInfo)?.[1]?.trim().split(/\s+/));
  if (arch === 'x64') return X86.find((flag) => flags.has(flag));
  if (arch !== 'arm64') return undefined;
  // Every Mac with an ARM processor has them; the first was made for ARMv8.5.
  return platform === 'darwin' ? 'asimddp' : ARM.find((flag) => flags.has(flag));
}

/** Whether the CPU adds products of bytes in 16 bits, where they overflow: x86 without the instructions, or where that cannot be told. */
export const hasNarrowSums = (): boolean => process.arch === 'x64' && byteProducts() === undefined;
