import type { KeptQuantization } from '../zoo/quantization.ts';
import { QuantizationError, readQuantization } from '../zoo/quantization.ts';
import type { ModelRecord, Precision } from '../zoo/record.ts';
import type { ExecutionProvider } from './execution_providers.ts';

/** What is wanted: one precision for all models, or of each the fastest that is sound. */
export type PrecisionSetting = 'auto' | Precision;

/** Why a model runs in fp32 although int8 would be faster. */
export interface Fallback {
  /** Never quantised; another execution provider than the CPU; a CPU without the instructions; int8 loses too much accuracy; int8 computes other numbers here than it should. */
  readonly reason: FallbackReason;
  /** A sentence. */
  readonly detail: string;
}

export const FALLBACK_REASONS = ['not_quantized', 'provider', 'cpu', 'accuracy', 'check'] as const;
export type FallbackReason = (typeof FALLBACK_REASONS)[number];

export interface PrecisionChoice {
  readonly precision: Precision;
  readonly fallback?: Fallback;
}

/** What int8 may lose of what was measured in fp32: a point of AP, one and a half of mIoU. */
const LARGEST_LOSS = { AP: 0.01, mIoU: 0.015 } as const;
/** Where nobody measured that, how far int8's results may be from fp32's own. */
export const LEAST_AGREEMENT = { AP: 0.9, mIoU: 0.7 } as const;

/** What networks are computed with. */
export interface Hardware {
  /** See `byteProducts`. */
  readonly products: string | undefined;
  /** 'cpu' where absent. */
  readonly executionProvider?: ExecutionProvider;
}

/** The precision that a model runs in. */
export async function choosePrecision(
  record: ModelRecord,
  home: string,
  setting: PrecisionSetting,
  { products, executionProvider = 'cpu' }: Hardware,
): Promise<PrecisionChoice> {
  if (setting !== 'auto') return { precision: setting };
  const fallback = (reason: FallbackReason, detail: string): PrecisionChoice => ({
    precision: 'fp32',
    fallback: { reason, detail },
  });
  if (executionProvider !== 'cpu') {
    return fallback('provider', `int8 is for the CPU, and the execution provider is ${executionProvider}`);
  }
  let found: KeptQuantization | undefined;
  let passedOver: string | undefined;
  try {
    found = await readQuantization(record, home, (sentence) => {
      passedOver = sentence;
    });
  } catch (error) {
    // A damaged file takes nothing away but int8.
    if (!(error instanceof QuantizationError)) throw error;
    return fallback('not_quantized', error.message);
  }
  if (!found)
    return fallback(
      'not_quantized',
      passedOver ?? `thinlens quantize ${record.name} --images DIR makes its int8`,
    );
  if (products === undefined) {
    return fallback(
      'cpu',
      'int8 needs a CPU with VNNI or dot-product instructions, and none were found; --precision int8 runs it all the same',
    );
  }
  const loss = lossOf(record, found);
  return loss === undefined ? { precision: 'int8' } : fallback('accuracy', loss);
}

/** What int8 loses, in a sentence, where that is too much. */
function lossOf(
  { name, accuracy }: ModelRecord,
  { quantization, origin }: KeptQuantization,
): string | undefined {
  const percent = (share: number) => (100 * share).toFixed(1);
  // Figures of the package's own calibration say nothing of another.
  if (origin === 'package' && accuracy?.int8 !== undefined) {
    const { metric, value, int8 } = accuracy;
    if (value - int8 <= LARGEST_LOSS[metric]) return undefined;
    return `int8 brings ${name} from ${metric} ${percent(value)} to ${percent(int8)}, and ${percent(LARGEST_LOSS[metric])} points may be lost`;
  }
  const { metric, value } = quantization.agreement;
  if (value >= LEAST_AGREEMENT[metric]) return undefined;
  return `int8 of ${name} agrees with fp32 by ${metric} ${percent(value)}, and ${percent(LEAST_AGREEMENT[metric])} is the least; thinlens quantize with more photos may help`;
}
