import { hasNarrowSums } from './cpu_features.ts';
import type { ExecutionProvider } from './execution_providers.ts';
import { checkProvider, providerFault } from './execution_providers.ts';
import { InferenceSession, listSupportedBackends, Tensor } from './onnx_runtime.ts';

export interface SessionOptions {
  /** Threads that one inference may use. */
  readonly threads: number;
  /**
   * Give memory back after each run. Otherwise the session keeps what its largest run took: right where all runs are of one
   * size, and a few per cent faster there.
   */
  readonly manySizes?: boolean;
  /** Whether the CPU is one that adds products of bytes in 16 bits, as x86 before VNNI does; as its flags say where absent. */
  readonly narrowSums?: boolean;
  /** 'cpu' where absent. */
  readonly executionProvider?: ExecutionProvider;
}

/**
 * An ONNX Runtime session for a network with one uint8 image input. `run` blocks the calling thread while the
 * network computes (onnxruntime-node runs synchronously), which is why sessions live in worker processes.
 */
export class ImageSession {
  readonly #session: InferenceSession;
  /** Filled in place by each run after the first of its size. */
  #outputs: InferenceSession.OnnxValueMapType | undefined;
  #size = '';

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /**
   * @throws Error where the bytes are no model that ONNX Runtime can run
   * @throws ExecutionProviderError where the provider is not to be had: none other takes its place
   */
  static async open(
    onnx: Uint8Array,
    { threads, manySizes = false, narrowSums = hasNarrowSums(), executionProvider = 'cpu' }: SessionOptions,
  ): Promise<ImageSession> {
    checkProvider(executionProvider, listSupportedBackends());
    const session = await InferenceSession.create(onnx, {
      executionProviders: [executionProvider],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      enableCpuMemArena: !manySizes,
      extra: {
        session: {
          // A thread that waits for work must not burn the core that another worker needs.
          intra_op: { allow_spinning: '0' },
          // Sums of 16 bits overflow. ONNX Runtime then takes another way, which on other CPUs is slower than fp32.
          ...(narrowSums && { x64quantprecision: '1' }),
        },
      },
    }).catch((error: Error) => {
      throw executionProvider === 'cpu' ? error : providerFault(executionProvider, error);
    });
    return new ImageSession(session);
  }

  /**
   * Runs the network on one image.
   * @param pixels [height, width, 3] RGB
   * @returns the outputs by name, each flat. They are views of memory that the next run writes to again: what is to be
   *   kept must be copied. Not having to make and collect them anew saves a megabyte of garbage an image.
   */
  async run(
    pixels: Uint8Array,
    { height, width }: { readonly height: number; readonly width: number },
  ): Promise<Record<string, Float32Array>> {
    const feeds = { pixels: new Tensor('uint8', pixels, [1, height, width, 3]) };
    const size = `${height}x${width}`;
    if (size !== this.#size) this.#outputs = undefined;
    this.#size = size;
    this.#outputs = await (this.#outputs
      ? this.#session.run(feeds, this.#outputs)
      : this.#session.run(feeds));
    return Object.fromEntries(
      Object.entries(this.#outputs).map(([name, value]) => [name, value.data as Float32Array]),
    );
  }

  /** Whether it has run: ONNX Runtime plans and reserves its memory then. */
  get hasRun(): boolean {
    return this.#outputs !== undefined;
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
