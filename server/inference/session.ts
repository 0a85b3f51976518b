import { InferenceSession, Tensor } from 'onnxruntime-node';

export interface SessionOptions {
  /** Threads that one inference may use. */
  readonly threads: number;
}

/**
 * An ONNX Runtime session for a network with one uint8 image input. `run` blocks the calling thread while the
 * network computes (onnxruntime-node runs synchronously), which is why sessions live in worker processes.
 */
export class ImageSession {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /** @throws Error where the bytes are no model that ONNX Runtime can run. */
  static async open(onnx: Uint8Array, { threads }: SessionOptions): Promise<ImageSession> {
    const session = await InferenceSession.create(onnx, {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      // A thread that waits for work must not burn the core that another worker needs.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    return new ImageSession(session);
  }

  /**
   * Runs the network.
   * @param pixels [batch, height, width, 3] RGB
   * @returns the outputs by name, each [batch, ...] flat
   */
  async run(
    pixels: Uint8Array,
    { batch = 1, height, width }: { batch?: number; height: number; width: number },
  ): Promise<Record<string, Float32Array>> {
    const input = new Tensor('uint8', pixels, [batch, height, width, 3]);
    const outputs = await this.#session.run({ pixels: input });
    return Object.fromEntries(
      Object.entries(outputs).map(([name, value]) => [name, value.data as Float32Array]),
    );
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
