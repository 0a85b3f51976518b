import sharp, { type KernelEnum, type OutputInfo, type Sharp, type SharpOptions } from 'sharp';
import { enlargePixels, smallerOf } from './enlarge.ts';
import { FORMAT_NAMES, type ImageFormat, identifyImage } from './format.ts';
import { convertToSrgb, isSrgb, readMatrixProfile } from './icc_profile.ts';
import { ImageError } from './image-error.ts';
import { readJpegHeader } from './jpeg_header.ts';
import { clipRegion, type Region, type Size, storedRegion } from './region.ts';

/**
 * What stands behind transparent pixels: white, because pictures with transparency (logos, cut-out product
 * photos, drawings, screenshots) are made to be seen on a white page. The photos that the networks were
 * trained on have none to go by.
 */
export const BACKGROUND = { r: 255, g: 255, b: 255 };

/**
 * The filter that shrinks a photo to the network's input; what has to be enlarged is enlarged in enlarge.ts. The networks were trained on plain bilinear samples, without
 * averaging: sharp's kernels all average when shrinking (all but nearest), and the sharper ones come nearer to what the
 * networks know. Chosen by AP (`thinlens eval detection`) on 293 COCO training photos (cubic 25.74, lanczos2 25.71, mitchell 25.64, lanczos3 25.63, linear
 * 25.59, nearest 25.39); bench/accuracy.ts compares the result with the reference's own resize.
 *
 * sharp's default fastShrinkOnLoad is left on: a JPEG much too large in both directions is decoded at 1/2, 1/4 or 1/8 size straight
 * from its DCT coefficients (a box filter, near enough), a WebP by the decoder's own scaler; the kernel does the rest.
 * A region switches that off.
 */
export const RESIZE_KERNEL: keyof KernelEnum = 'cubic';

// libvips has some twenty loaders, several of them large parsers of documents rather than photos (SVG with
// its styles and links, PDF, ImageMagick, its own memory dumps), and picks one by looking at the bytes. Here
// it can pick only these six, and from memory only: no file name ever reaches a loader. Ultra HDR's loader is
// off as well: such photos are plain JPEGs to the JPEG loader.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Webp', 'Heif', 'Nsgif', 'Tiff'].map(
    (loader) => `VipsForeignLoad${loader}Buffer`,
  ),
});
// Every photo is new: a cache of operations would only hold memory.
sharp.cache(false);
// One thread a photo: there are as many worker processes as cores.
sharp.concurrency(1);

/** Width and height of the result in pixels: given, or as they follow from those of the part that is looked at. */
type Target = Size | { fit: (shown: Size) => Size };

/** What decodeImage should produce, and its limits. */
export type DecodeOptions = Target & {
  /** The part of the upright image to look at; clipped to it. All of it when left out. */
  region?: Region | undefined;
  /** The most pixels (width x height) the image may have. */
  maxPixels: number;
  /** Give up after so many seconds, rounded up; 0 or left out: never. Reading the header doesn't count. */
  timeoutSeconds?: number | undefined;
};

/** A photo as a network's input. */
export interface DecodedImage {
  /** [height, width, 3], 8-bit sRGB; its buffer is its own and may be transferred. */
  pixels: Uint8Array;
  /** Size of `pixels`. */
  size: Size;
  /** Size of the photo as a person sees it, after Exif orientation. */
  image: Size;
  /** The part of the upright photo that `pixels` shows, in whole pixels. */
  region: Region;
  format: ImageFormat;
}

/** The decoding under way or last done. */
let previous: Promise<unknown> = Promise.resolve();

/**
 * Decodes a photo and resizes it, or a region of it, to the size that the options give, whatever its proportions.
 *
 * The first frame of an animation and the first page of a TIFF count; of an AVIF, its primary image. Embedded
 * colour profiles are converted to sRGB, CMYK without one as ordinary print colours; transparency is laid
 * over white.
 *
 * A photo that is cut short is refused, unless only bytes without pixels are missing (a PNG's last chunk, a
 * GIF's last byte) or a region was asked for that lies above the cut: rows below a region are not read. Of
 * other damage it can only refuse what shows: PNG has checksums, but a changed byte of JPEG, WebP, GIF or
 * TIFF data is often just other pixels.
 *
 * Calls are served one after another, because libvips keeps one error text for the whole process.
 *
 * @throws ImageError with any of its codes; see ImageErrorCode.
 */
export function decodeImage(bytes: Buffer, options: DecodeOptions): Promise<DecodedImage> {
  const decoded = previous.then(() => decode(bytes, options));
  previous = decoded.catch(() => {});
  return decoded;
}

async function decode(bytes: Buffer, options: DecodeOptions): Promise<DecodedImage> {
  const format = identifyImage(bytes);
  const jpeg = format === 'jpeg' ? readJpegHeader(bytes) : undefined;
  // A JPEG without Exif data is known well enough to save the decoder's own look at it.
  const header: Header =
    jpeg && !jpeg.exif
      ? jpeg
      : await refusing(format, options, openImage(bytes, { failOn: 'error' }).metadata());
  if (header.width * header.height > options.maxPixels) throw tooLarge(header, options.maxPixels);

  const orientation = header.orientation ?? 1;
  const stored = { width: header.width, height: header.height };
  const sideways = orientation >= 5 && orientation <= 8;
  const image = sideways ? { width: stored.height, height: stored.width } : stored;
  const region = clipRegion(options.region, image);
  const extract = options.region && storedRegion(region, orientation, stored);
  const shown = { width: region.x_max - region.x_min, height: region.y_max - region.y_min };
  const size = 'fit' in options ? options.fit(shown) : { width: options.width, height: options.height };
  const shrunk = smallerOf(shown, size);
  const { timeoutSeconds = 0 } = options;

  const profile = jpeg?.components === 3 && jpeg.profile ? readMatrixProfile(jpeg.profile) : undefined;
  const render = (failOn: FailOn) => {
    const image = openImage(bytes, {
      failOn,
      ignoreIcc: profile !== undefined,
      limitInputPixels: options.maxPixels,
    });
    return refusing(format, options, pipeline(image, shrunk, extract, timeoutSeconds));
  };
  const { data, info } = await (format === 'jpeg' ? renderJpeg(render) : render('error'));
  if (info.channels !== 3 || info.width !== shrunk.width || info.height !== shrunk.height) {
    const got = `${info.width} x ${info.height} x ${info.channels}`;
    throw undecodable(format, `${got} where ${shrunk.width} x ${shrunk.height} x 3 were expected`);
  }
  // Its memory is its own, as that of every Buffer from native code.
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
  // After the resize, where libvips converts before it: a third of the pixels or fewer, and on photos the same to a third of a level.
  if (profile && !isSrgb(profile)) convertToSrgb(pixels, profile);
  return { pixels: enlargePixels(pixels, shrunk, size), size, image, region, format };
}

type FailOn = NonNullable<SharpOptions['failOn']>;

/** What has to be known of a photo before it is decoded; the size as stored. */
interface Header extends Size {
  readonly orientation?: number | undefined;
}

/** @param options the decoder's own limit of pixels is none where it is left out, as while only the header is read */
function openImage(bytes: Buffer, options: SharpOptions): Sharp {
  // Sequential reading holds a few rows at a time instead of the whole photo, where the format allows that.
  return sharp(bytes, { limitInputPixels: 0, pages: 1, sequentialRead: true, ...options });
}

/**
 * @param extract in the image as stored. Turning it upright only after the resize (autoOrient comes last) keeps
 * reading sequential, which turning the full-size photo would not.
 */
function pipeline(
  image: Sharp,
  { width, height }: Size,
  extract: Region | undefined,
  timeoutSeconds: number,
): Promise<{ data: Uint8Array; info: OutputInfo }> {
  const cropped = extract
    ? image.extract({
        left: extract.x_min,
        top: extract.y_min,
        width: extract.x_max - extract.x_min,
        height: extract.y_max - extract.y_min,
      })
    : image;
  return (
    cropped
      .flatten({ background: BACKGROUND })
      .resize(width, height, { fit: 'fill', kernel: RESIZE_KERNEL })
      .autoOrient()
      .toColourspace('srgb')
      .timeout({ seconds: Math.ceil(timeoutSeconds) })
      .raw()
      // Its toUint8Array never frees the pixels that it copies (sharp 0.35.5).
      .toBuffer({ resolveWithObject: true })
  );
}

/**
 * What libjpeg warns of although every pixel is there. The Invalid SOS is what some Samsung phones write;
 * stray bytes between segments and before restart markers come from webcams, IP cameras and toy cameras, in
 * every picture they take.
 */
const HARMLESS_JPEG_WARNINGS = [
  /^VipsJpeg: Invalid SOS parameters for sequential JPEG/,
  /^VipsJpeg: Corrupt JPEG data: \d+ extraneous bytes before marker/,
  /^VipsJpeg: Corrupt JPEG data: bad ICC marker/,
  /^VipsJpeg: Unknown Adobe color transform code/,
  /^VipsJpeg: Warning: unknown JFIF revision number/,
];

/**
 * Each format's failOn was chosen by trying it on damaged files. 'error' refuses what is cut short or
 * contradicts a checksum, in all six ('truncated' lets a cut JPEG-compressed TIFF and a failed PNG checksum
 * pass); 'warning' would also refuse whole TIFFs for a comment that can't be read. But to libjpeg damage
 * inside the picture (a Huffman code that does not exist, a stretch that ends early) is only a warning, after
 * which it fills in grey. So a JPEG is decoded at 'warning', and once more at 'error' if what it was warned
 * of is harmless. libjpeg tells its first warning only: damage in a file that begins with harmless ones is
 * not seen.
 */
async function renderJpeg<Result>(render: (failOn: FailOn) => Promise<Result>): Promise<Result> {
  try {
    return await render('warning');
  } catch (error) {
    if (!(error instanceof ImageError && error.cause instanceof Error)) throw error;
    const lines = error.cause.message.split('\n').filter((line) => line !== '');
    const harmless = (line: string) => HARMLESS_JPEG_WARNINGS.some((warning) => warning.test(line));
    if (lines.length === 0 || !lines.every(harmless)) throw error;
    return render('error');
  }
}

/** Waits for sharp and turns what it rejects with into an ImageError that has sharp's error as its cause. */
async function refusing<Result>(
  format: ImageFormat,
  options: DecodeOptions,
  work: Promise<Result>,
): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (/timeout: \d+% complete/.test(text)) {
      const message = `Decoding the ${FORMAT_NAMES[format]} image took longer than ${options.timeoutSeconds} s.`;
      throw new ImageError('undecodable_image', message, { cause: error });
    }
    throw undecodable(format, reason(text), error);
  }
}

function tooLarge({ width, height }: Size, maxPixels: number): ImageError {
  return new ImageError(
    'image_too_large',
    `The image has ${width} x ${height} = ${width * height} pixels; the limit is ${maxPixels}. Send it smaller.`,
  );
}

function undecodable(format: ImageFormat, why: string, cause?: unknown): ImageError {
  const name = FORMAT_NAMES[format];
  return new ImageError(
    'undecodable_image',
    `The ${name} image cannot be decoded: it is broken or incomplete${why && ` (${why})`}.`,
    { cause },
  );
}

/** The first line of libvips' message that says something, without prefixes or paths; '' when none does. */
function reason(text: string): string {
  const lines = text
    .replace(/^Input buffer has corrupt header: /, '')
    .split('\n')
    .map((line) => line.replace(/(?<!\w)(?:[A-Za-z]:)?[\\/][^\s:'"]+/g, '...').trim());
  // A seek past the end is how reading a cut file begins; sharp's own two lines repeat the sentence around them.
  const telling = lines.filter(
    (line) => line && !/^source: bad seek|unsupported image format$|^Unknown error$/.test(line),
  );
  return telling[0]?.slice(0, 200) ?? '';
}
