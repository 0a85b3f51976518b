import { fittedSize } from '../../heads/deeplabv3/input_size.ts';
import { decodeImage } from '../image/decode.ts';
import type { Size } from '../image/region.ts';
import { servedSize } from '../zoo/network.ts';
import type { ModelRecord } from '../zoo/record.ts';
import type { PhotoLimits } from './protocol.ts';

/** A photo as a network is served it. */
export interface PhotoInput {
  /** [height, width, 3] */
  readonly pixels: Uint8Array;
  /** Of `pixels`. */
  readonly size: Size;
  /** Of the photo, upright. */
  readonly image: Size;
}

/**
 * Decodes a photo to what a model's network sees of it where nothing else is asked for: squashed to a detection network's square,
 * fitted to a segmentation network's long side.
 * @throws ImageError where the bytes are no photo that can be used
 */
export async function photoInput(
  bytes: Buffer,
  record: ModelRecord,
  limits: PhotoLimits,
): Promise<PhotoInput> {
  const { width } = servedSize(record);
  const target =
    record.task === 'segmentation'
      ? { fit: (shown: Size) => fittedSize(shown, width, record.outputStride) }
      : record.input;
  const { pixels, size, image } = await decodeImage(bytes, { ...target, ...limits });
  return { pixels, size, image };
}
