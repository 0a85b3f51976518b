/**
 * SSD's default boxes as TensorFlow lays them out.
 * Source: tensorflow/models research/object_detection/anchor_generators/multiple_grid_anchor_generator.py
 * (create_ssd_anchors), with the values of ssdlite_mobilenet_v2_coco.config; Liu et al., "SSD" (arXiv 1512.02325),
 * section 2.2.
 */
const MIN_SCALE = 0.2;
const MAX_SCALE = 0.95;
/** The last ratio is written out like this in the reference configuration, and so it is trained: it is not 1/3. */
const ASPECT_RATIOS = [1, 2, 0.5, 3, 0.3333] as const;
const LAYERS = 6;

/** Anchors a cell on each feature map. */
export const ANCHORS_PER_CELL = [3, 6, 6, 6, 6, 6] as const;

/** Scale and aspect ratio (width / height) of the anchors on one feature map. */
function anchorShapes(layer: number): readonly (readonly [scale: number, ratio: number])[] {
  const scaleOf = (index: number) =>
    index >= LAYERS ? 1 : MIN_SCALE + ((MAX_SCALE - MIN_SCALE) * index) / (LAYERS - 1);
  const scale = scaleOf(layer);
  if (layer === 0) {
    return [
      [0.1, 1],
      [scale, 2],
      [scale, 0.5],
    ];
  }
  return [
    ...ASPECT_RATIOS.map((ratio) => [scale, ratio] as const),
    [Math.sqrt(scale * scaleOf(layer + 1)), 1],
  ];
}

/**
 * Anchors for these feature maps, [anchors, 4] as (ymin, xmin, ymax, xmax) in fractions of the image, not clipped.
 * Order: map, row, column, anchor: the order of the predictors' outputs.
 */
export function ssdAnchors(grids: readonly (readonly [height: number, width: number])[]): Float32Array {
  const count = grids.reduce(
    (sum, [height, width], layer) => sum + height * width * anchorShapes(layer).length,
    0,
  );
  const anchors = new Float32Array(count * 4);
  let at = 0;
  grids.forEach(([height, width], layer) => {
    const shapes = anchorShapes(layer);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        for (const [scale, ratio] of shapes) {
          const halfHeight = scale / Math.sqrt(ratio) / 2;
          const halfWidth = (scale * Math.sqrt(ratio)) / 2;
          const y = (row + 0.5) / height;
          const x = (column + 0.5) / width;
          anchors.set([y - halfHeight, x - halfWidth, y + halfHeight, x + halfWidth], at);
          at += 4;
        }
      }
    }
  });
  return anchors;
}
