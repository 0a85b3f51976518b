/**
 * Why a picture was refused. Every code is the sender's to mend (HTTP 4xx), never a fault of the server:
 * - `no_image`: there are no bytes.
 * - `unsupported_image`: the bytes are not one of the accepted formats.
 * - `undecodable_image`: an accepted format, but broken, cut short, or too slow to decode.
 * - `image_too_large`: more pixels than the limit.
 * - `region_outside_image`: the region asked for has no pixel inside the image.
 */
export type ImageErrorCode =
  | 'no_image'
  | 'unsupported_image'
  | 'undecodable_image'
  | 'image_too_large'
  | 'region_outside_image';

/** A picture that cannot be used. The message is written for the person who sent it. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly code: ImageErrorCode;

  constructor(code: ImageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
