import { byteProducts } from '../inference/cpu_features.ts';
import { choosePrecision } from '../inference/precision.ts';
import type { Settings } from '../settings.ts';
import { QuantizationError } from '../zoo/quantization.ts';
import type { ModelRecord, Precision } from '../zoo/record.ts';
import { ModelStore } from '../zoo/store.ts';
import { locateWeights, ModelUnavailableError } from '../zoo/weights.ts';
import { messageOf } from './finding.ts';

/** What a start finds in the store of the networks that it opens. */
export interface Outlook {
  /** `MODEL in PRECISIONS` of those that are not there compiled and whole, for which the store must be written. */
  readonly missing: readonly string[];
  /** A sentence for each file that was looked for, is there, and cannot be read: its model is not opened. */
  readonly unreadable: readonly string[];
}

type Wanted = Pick<Settings, 'home' | 'precision' | 'executionProvider'>;

/**
 * Looks for each network that a server with these settings opens, at its start or when a request asks for the other precision.
 * @param models those that it would load
 * @throws Error where ONNX Runtime, whose version is part of the files' names, does not load
 */
export async function outlookOf(models: readonly ModelRecord[], wanted: Wanted): Promise<Outlook> {
  const { formFor } = await import('../inference/open.ts');
  const { home, executionProvider } = wanted;
  const store = new ModelStore(home);
  const missing: string[] = [];
  const unreadable: string[] = [];
  for (const record of models) {
    const absent: Precision[] = [];
    try {
      for (const precision of await precisionsOf(record, wanted)) {
        const form = formFor(precision, executionProvider);
        const isKept = await store.isKept(record, precision, form).catch((error) => {
          if (isToldElsewhere(error)) throw error;
          unreadable.push(messageOf(error));
          return false;
        });
        if (isKept) continue;
        await locateWeights(record, home);
        absent.push(precision);
      }
    } catch (error) {
      if (!isToldElsewhere(error)) throw error;
    }
    if (absent.length > 0) missing.push(`${record.name} in ${absent.join(' and ')}`);
  }
  return { missing, unreadable };
}

/** Weights and quantisations have checks of their own, and without them nothing is compiled. */
const isToldElsewhere = (error: unknown) =>
  error instanceof ModelUnavailableError || error instanceof QuantizationError;

/** The precisions that a model may run in. */
async function precisionsOf(
  record: ModelRecord,
  { home, precision: setting, executionProvider }: Wanted,
): Promise<readonly Precision[]> {
  const hardware = { products: byteProducts(), executionProvider };
  const { precision } = await choosePrecision(record, home, setting, hardware);
  // Requests may ask for fp32, and a model whose int8 does not pass its check falls back to it.
  return setting === 'auto' && precision === 'int8' ? ['int8', 'fp32'] : [precision];
}
