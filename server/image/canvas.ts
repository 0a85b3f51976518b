import type { Rgb } from '../playground/class_colors.ts';
import type { Region, Size } from './region.ts';

/** Pixels that are drawn on: [height, width, 3], 8-bit sRGB. */
export interface Canvas extends Size {
  readonly pixels: Uint8Array;
}

/** How much of each pixel is covered, 0 to 255: [height, width]. */
export interface Coverage extends Size {
  readonly alpha: Uint8Array;
}

/** Fills a rectangle of whole pixels, as far as it lies on the canvas. */
export function fillRectangle(
  { pixels, width, height }: Canvas,
  area: Region,
  [red, green, blue]: Rgb,
): void {
  const [left, right] = [Math.max(0, area.x_min), Math.min(width, area.x_max)];
  const bottom = Math.min(height, area.y_max);
  for (let y = Math.max(0, area.y_min); y < bottom; y++) {
    for (let at = (y * width + left) * 3, end = (y * width + right) * 3; at < end; at += 3) {
      pixels[at] = red;
      pixels[at + 1] = green;
      pixels[at + 2] = blue;
    }
  }
}

/** Draws a frame: what lies in a rectangle of whole pixels and not in the same one drawn in by `thickness` on each side. */
export function fillFrame(canvas: Canvas, area: Region, thickness: number, color: Rgb): void {
  const { x_min, y_min, x_max, y_max } = area;
  const inner = drawnIn(area, thickness);
  if (inner.x_min >= inner.x_max || inner.y_min >= inner.y_max) {
    fillRectangle(canvas, area, color);
    return;
  }
  fillRectangle(canvas, { x_min, y_min, x_max, y_max: inner.y_min }, color);
  fillRectangle(canvas, { x_min, y_min: inner.y_max, x_max, y_max }, color);
  fillRectangle(canvas, { x_min, y_min: inner.y_min, x_max: inner.x_min, y_max: inner.y_max }, color);
  fillRectangle(canvas, { x_min: inner.x_max, y_min: inner.y_min, x_max, y_max: inner.y_max }, color);
}

/** A rectangle made smaller by so much on each side, or larger by a negative amount. */
export function drawnIn({ x_min, y_min, x_max, y_max }: Region, by: number): Region {
  return { x_min: x_min + by, y_min: y_min + by, x_max: x_max - by, y_max: y_max - by };
}

/** Paints a colour where `shape` covers the canvas, its upper left corner at a whole pixel. */
export function fillShape(
  { pixels, width, height }: Canvas,
  shape: Coverage,
  left: number,
  top: number,
  color: Rgb,
): void {
  for (let y = Math.max(0, -top); y < Math.min(shape.height, height - top); y++) {
    for (let x = Math.max(0, -left); x < Math.min(shape.width, width - left); x++) {
      const share = (shape.alpha[y * shape.width + x] as number) / 255;
      if (share === 0) continue;
      const at = ((top + y) * width + left + x) * 3;
      for (let channel = 0; channel < 3; channel++) {
        const under = pixels[at + channel] as number;
        pixels[at + channel] = Math.round(under + ((color[channel] as number) - under) * share);
      }
    }
  }
}
