// The photo, and over it what was found.
import type { Detection, Segment } from '../../openapi/types.ts';
import type { ApiError } from './api.ts';
import { classColor, css } from './class_colors.ts';
import { button, byId, make } from './dom.ts';
import { scorePercent } from './format.ts';
import { placeLabels } from './label_layout.ts';
import type { Photo } from './photos.ts';

/** What is drawn for one finding. */
interface Drawn {
  readonly parts: readonly HTMLElement[];
  /** Of a detection. */
  readonly box?: HTMLElement;
  readonly tag?: HTMLElement;
}

/** The stage keeps its own size, whatever it shows, so nothing on the page moves. */
export class Stage {
  readonly #photo = byId('photo', HTMLElement);
  readonly #image = byId('image', HTMLImageElement);
  readonly #unseeable = byId('unseeable', HTMLElement);
  readonly #overlay = byId('overlay', HTMLElement);
  readonly #progress = byId('progress', HTMLElement);
  readonly #problems = byId('problem-place', HTMLElement);
  #drawn: readonly Drawn[] = [];

  constructor() {
    this.#image.draggable = false;
    this.#image.addEventListener('load', () => {
      this.#setProportions(this.#image.naturalWidth, this.#image.naturalHeight);
    });
    this.#image.addEventListener('error', () => {
      this.#image.hidden = true;
      this.#unseeable.hidden = false;
    });
    new ResizeObserver(() => this.#placeTags()).observe(this.#photo);
  }

  /** Shows a photo without any findings. Browsers draw it upright, as its EXIF orientation says. */
  show({ name, url }: Photo): void {
    this.clear();
    const invitation = byId('invitation', HTMLElement);
    // The button that was pressed goes away; the focus must not go with it.
    if (invitation.contains(document.activeElement)) byId('add', HTMLElement).focus();
    invitation.hidden = true;
    this.#photo.hidden = false;
    if (this.#image.src === url) return;
    this.#unseeable.hidden = true;
    this.#image.hidden = false;
    this.#image.alt = name;
    this.#image.src = url;
  }

  clear(): void {
    this.#draw([]);
    this.clearProblem();
  }

  clearProblem(): void {
    this.#problems.replaceChildren();
  }

  set busy(busy: boolean) {
    this.#progress.hidden = !busy;
  }

  /** Draws a box and a label for each detection; the first ones get the best places. */
  showDetections(detections: readonly Detection[], { width, height }: Size): void {
    this.#setProportions(width, height);
    this.#draw(
      detections.map(({ label, class_id, score, box: { x_min, y_min, x_max, y_max } }) => {
        const color = css(classColor(class_id));
        const box = make('div', 'box');
        box.style.left = `${(100 * x_min) / width}%`;
        box.style.top = `${(100 * y_min) / height}%`;
        box.style.width = `${(100 * (x_max - x_min)) / width}%`;
        box.style.height = `${(100 * (y_max - y_min)) / height}%`;
        const tag = make('div', 'tag', {}, `${label} ${scorePercent(score)}`);
        for (const { style } of [box, tag]) style.setProperty('--color', color);
        return { parts: [box, tag], box, tag };
      }),
    );
    this.#placeTags();
  }

  /** Lays a mask of its colour over the photo for each segment. */
  showSegments(segments: readonly Segment[], { width, height }: Size): void {
    this.#setProportions(width, height);
    this.#draw(
      segments.map(({ class_id, mask: { png = '' } }) => {
        const mask = make('div', 'mask');
        mask.style.setProperty('--color', css(classColor(class_id)));
        const inside = make('i');
        inside.style.maskImage = `url("data:image/png;base64,${png}")`;
        mask.append(inside);
        return { parts: [mask] };
      }),
    );
  }

  /** How much of the photo the masks cover up, 0 to 1. */
  set opacity(opacity: number) {
    this.#overlay.style.setProperty('--opacity', String(opacity));
  }

  /** Lets one finding, by its place among those shown, stand out; undefined for none. */
  single(index: number | undefined): void {
    this.#overlay.classList.toggle('singling', index !== undefined);
    this.#drawn.forEach(({ parts }, at) => {
      for (const part of parts) part.classList.toggle('single', at === index);
    });
  }

  /** Says what went wrong, over the photo's lower edge. */
  showProblem({ message, reference, passing }: ApiError, onRetry: () => void): void {
    const text = make('p', '', {}, message);
    if (reference) text.append(make('span', 'quiet', {}, reference));
    const retry = passing ? [button('', onRetry, 'Try again')] : [];
    this.#problems.replaceChildren(make('div', 'problem', {}, text, ...retry));
  }

  #draw(drawn: readonly Drawn[]): void {
    this.#drawn = drawn;
    this.#overlay.classList.remove('singling');
    this.#overlay.replaceChildren(...drawn.flatMap(({ parts }) => parts));
  }

  #setProportions(width: number, height: number): void {
    if (width > 0 && height > 0) this.#photo.style.setProperty('--ratio', String(width / height));
  }

  /** Labels keep the size of text however large the photo is shown, so they are placed in pixels of the screen. */
  #placeTags(): void {
    const labelled = this.#drawn.flatMap(({ box, tag }) => (box && tag ? [{ box, tag }] : []));
    const places = placeLabels(
      labelled.map(({ box, tag }) => ({
        box: { left: box.offsetLeft, top: box.offsetTop, width: box.offsetWidth, height: box.offsetHeight },
        width: tag.offsetWidth,
        height: tag.offsetHeight,
      })),
      { width: this.#overlay.clientWidth, height: this.#overlay.clientHeight },
    );
    labelled.forEach(({ box, tag }, index) => {
      const place = places[index];
      tag.classList.toggle('homeless', place === undefined);
      // One without a place shows only while it stands out, and then at its box.
      tag.style.left = `${place?.left ?? Math.min(box.offsetLeft, this.#overlay.clientWidth - tag.offsetWidth)}px`;
      tag.style.top = `${place?.top ?? box.offsetTop}px`;
    });
  }
}

interface Size {
  readonly width: number;
  readonly height: number;
}
