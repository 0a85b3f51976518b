// Where labels go, so that they stay on the photo and off each other.

/** A rectangle in pixels of the screen, from the photo's upper left corner. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A box and the size of its label. */
export interface Labelled {
  readonly box: Rectangle;
  readonly width: number;
  readonly height: number;
}

/**
 * Places labels one after the other, so the first ones get the best places: on top of the box, else inside, below or beside it.
 * A label always lies on the photo as far as it fits. One that finds no place free of others is left out.
 * @returns for each label its upper left corner, or undefined
 */
export function placeLabels(
  labels: readonly Labelled[],
  photo: { readonly width: number; readonly height: number },
): (Pick<Rectangle, 'left' | 'top'> | undefined)[] {
  const taken: Rectangle[] = [];
  return labels.map(({ box, width, height }) => {
    const right = box.left + box.width;
    const bottom = box.top + box.height;
    const candidates = [
      [box.left, box.top - height],
      [box.left, box.top],
      [right - width, box.top - height],
      [right - width, box.top],
      [box.left, bottom],
      [box.left, bottom - height],
      [right - width, bottom - height],
      [right, box.top],
      [box.left - width, box.top],
    ] as const;
    for (const [x, y] of candidates) {
      const left = Math.max(0, Math.min(x, photo.width - width));
      // Moved up or down it would no longer say which box it belongs to.
      if (y < 0 || y + height > photo.height) continue;
      const place = { left, top: y, width, height };
      if (taken.some((other) => overlap(place, other))) continue;
      taken.push(place);
      return { left, top: y };
    }
    return undefined;
  });
}

function overlap(a: Rectangle, b: Rectangle): boolean {
  return (
    a.left < b.left + b.width &&
    b.left < a.left + a.width &&
    a.top < b.top + b.height &&
    b.top < a.top + a.height
  );
}
