import { servedSize } from '../zoo/network.ts';
import type { Quantization } from '../zoo/quantization.ts';
import type { ModelRecord, Precision } from '../zoo/record.ts';
import type { ModelForm, ModelStore } from '../zoo/store.ts';
import { byteProducts, hasNarrowSums } from './cpu_features.ts';
import type { ExecutionProvider } from './execution_providers.ts';
import { checkInt8, Int8CheckError } from './int8_check.ts';
import { optimizedForm } from './optimized_form.ts';
import type { Fallback, PrecisionSetting } from './precision.ts';
import { choosePrecision } from './precision.ts';
import { ImageSession } from './session.ts';

/** How a model is opened. */
export interface OpenOptions {
  /** Threads that one inference may use. */
  readonly threads: number;
  /** 'cpu' where absent. */
  readonly executionProvider?: ExecutionProvider;
  readonly precision?: Precision;
}

/** The form that a network is opened in; as it was compiled with other providers than the CPU, which take other nodes together. */
export function formFor(precision: Precision, executionProvider: ExecutionProvider): ModelForm | undefined {
  return executionProvider === 'cpu' ? optimizedForm(precision === 'int8' && hasNarrowSums()) : undefined;
}

/**
 * Compiles (or reads) a model's network and opens a session for it; in int8 only one that computes here what it should.
 * @throws ExecutionProviderError, before the store is touched; whatever `ModelStore.compiled` throws; Int8CheckError
 */
export async function openSession(
  record: ModelRecord,
  store: ModelStore,
  { precision = 'fp32', executionProvider = 'cpu', threads }: OpenOptions,
): Promise<ImageSession> {
  await ensureProvider(executionProvider);
  const form = formFor(precision, executionProvider);
  const { onnx, quantization } = form
    ? await store.formed(record, precision, form)
    : await store.compiled(record, precision);
  const manySizes = record.task === 'segmentation';
  const session = await ImageSession.open(onnx, { threads, executionProvider, manySizes });
  if (quantization) await check(session, record, quantization);
  return session;
}

/** Providers that a network was opened with in this process. */
const known = new Set<ExecutionProvider>(['cpu']);

/** @throws ExecutionProviderError: nobody should mend the store, or wait for it to be filled, for a provider that is not to be had */
async function ensureProvider(provider: ExecutionProvider): Promise<void> {
  if (known.has(provider)) return;
  const { tryProvider } = await import('./provider_trial.ts');
  await tryProvider(provider);
  known.add(provider);
}

async function check(session: ImageSession, record: ModelRecord, quantization: Quantization): Promise<void> {
  try {
    await checkInt8(session, record.name, quantization, servedSize(record));
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Opens one model in one precision. */
export type Opener<Runner> = (
  record: ModelRecord,
  store: ModelStore,
  options: OpenOptions,
) => Promise<Runner>;

/** A model that was opened, and in what. */
export interface Opened<Runner> {
  readonly runner: Runner;
  readonly precision: Precision;
  /** What it can be opened in. */
  readonly precisions: readonly Precision[];
  readonly fallback?: Fallback;
}

/**
 * Opens a model in the precision that the setting says, or in the fastest that is sound.
 * @param open a Detector's or a Segmenter's
 * @param products see `byteProducts`
 * @throws what `open` throws; with a setting of int8 also Int8CheckError
 */
export async function openFastest<Runner>(
  open: Opener<Runner>,
  record: ModelRecord,
  store: ModelStore,
  { precision: setting, ...how }: Omit<OpenOptions, 'precision'> & { readonly precision: PrecisionSetting },
  products = byteProducts(),
): Promise<Opened<Runner>> {
  const { precision, fallback } = await choosePrecision(record, store.home, setting, {
    products,
    ...how,
  });
  try {
    const runner = await open(record, store, { ...how, precision });
    const precisions: Precision[] =
      setting === 'auto' && precision === 'int8' ? ['int8', 'fp32'] : [precision];
    return { runner, precision, precisions, ...(fallback && { fallback }) };
  } catch (error) {
    if (setting !== 'auto' || !(error instanceof Int8CheckError)) throw error;
    const runner = await open(record, store, { ...how, precision: 'fp32' });
    return {
      runner,
      precision: 'fp32',
      precisions: ['fp32'],
      fallback: { reason: 'check', detail: error.message },
    };
  }
}
