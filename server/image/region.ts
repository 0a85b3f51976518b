import { ImageError } from './image-error.ts';

/** Width and height in pixels. */
export interface Size {
  width: number;
  height: number;
}

/** A rectangle in pixels of the upright image: x_min <= x < x_max, y_min <= y < y_max. */
export interface Region {
  x_min: number;
  y_min: number;
  x_max: number;
  y_max: number;
}

/**
 * The whole pixels of an image that a region touches: rounded outward and clipped to the image; all of the
 * image when no region is given.
 * @throws ImageError `region_outside_image` when no pixel is left, as also for an empty or reversed region.
 */
export function clipRegion(region: Region | undefined, image: Size): Region {
  if (region === undefined) return { x_min: 0, y_min: 0, x_max: image.width, y_max: image.height };
  const clipped = {
    x_min: Math.max(0, Math.floor(region.x_min)),
    y_min: Math.max(0, Math.floor(region.y_min)),
    x_max: Math.min(image.width, Math.ceil(region.x_max)),
    y_max: Math.min(image.height, Math.ceil(region.y_max)),
  };
  const asked = region.x_max > region.x_min && region.y_max > region.y_min;
  if (asked && clipped.x_max > clipped.x_min && clipped.y_max > clipped.y_min) return clipped;
  const corners = [region.x_min, region.y_min, region.x_max, region.y_max].join(',');
  throw new ImageError(
    'region_outside_image',
    `The region ${corners} (x_min,y_min,x_max,y_max) has no pixel inside the image, ` +
      `which is ${image.width} wide and ${image.height} high.`,
  );
}

/**
 * Where a region of the upright image lies in the image as it is stored.
 * @param region whole pixels of the upright image
 * @param orientation Exif Orientation, 1 to 8 (CIPA DC-008, "Orientation")
 * @param stored size as stored; for orientations 5 to 8 the upright image has these two swapped
 */
export function storedRegion(region: Region, orientation: number, stored: Size): Region {
  const { x_min, y_min, x_max, y_max } = region;
  // From 5 on, the upright image's columns are the stored rows.
  const [x, y] =
    orientation >= 5
      ? [[y_min, y_max] as const, [x_min, x_max] as const]
      : [[x_min, x_max] as const, [y_min, y_max] as const];
  const mirrorX = [2, 3, 7, 8].includes(orientation);
  const mirrorY = [3, 4, 6, 7].includes(orientation);
  return {
    x_min: mirrorX ? stored.width - x[1] : x[0],
    y_min: mirrorY ? stored.height - y[1] : y[0],
    x_max: mirrorX ? stored.width - x[0] : x[1],
    y_max: mirrorY ? stored.height - y[0] : y[1],
  };
}
