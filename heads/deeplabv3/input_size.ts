import type { Size } from './size.ts';

/**
 * The side nearest to `pixels` at which points of a grid lie on every `spacing`-th pixel, the first and the last
 * included: a multiple of the spacing and one more, and never a single point. Layers of stride 2 see odd sides only all
 * the way down, so that TensorFlow's padding is the same for each of these sides.
 */
export function alignedSide(pixels: number, spacing: number): number {
  return Math.max(1, Math.round((pixels - 1) / spacing)) * spacing + 1;
}

/**
 * What a photo is resized to: its long side to `longSide`, the other in proportion, both to the nearest aligned side.
 * Proportions change by 1.5 % for a photo of 3:2, by nothing for one of 4:3; of a strip, the short side becomes one cell.
 * Nothing is padded, so that no work is spent on what is not there.
 * @param photo in pixels
 * @param longSide aligned already
 * @param spacing the network's output stride
 */
export function fittedSize(photo: Size, longSide: number, spacing: number): Size {
  const ratio = (longSide - 1) / Math.max(photo.height, photo.width);
  const along = (pixels: number) => alignedSide(pixels * ratio + 1, spacing);
  return { height: along(photo.height), width: along(photo.width) };
}
