/**
 * PASCAL VOC's colours of its 256 labels, [256, 3] red, green, blue: the bits of the label, dealt out to the
 * three in turn, the lowest ones first and to the highest bits of the colour. 0 (background) is black, 255
 * (void) a light grey.
 * Source: VOCdevkit's VOClabelcolormap (Everingham et al., "The PASCAL Visual Object Classes Challenge
 * 2012").
 */
export const VOC_COLORS: Uint8Array = Uint8Array.from({ length: 256 * 3 }, (_, at) => {
  const label = Math.floor(at / 3);
  const channel = at % 3;
  let value = 0;
  for (let bit = channel; bit < 8; bit += 3) value |= ((label >> bit) & 1) << (7 - Math.floor(bit / 3));
  return value;
});
