// The photo, and over it what was found.
import type { Detection, Segment } from '../../openapi/types.ts';
import type { ApiError } from './api.ts';
import { classColor, css } from './class_colors.ts';
import { button, byId, make } from './dom.ts';
import type { Finding } from './findings.ts';
import { placeLabels } from './label_layout.ts';
import type { Photo } from './photos.ts';
import { scorePercent } from './score_percent.ts';

/** What is drawn for one finding. */
interface Drawn {
  readonly finding: Finding;
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
  readonly #invitation = byId('invitation', HTMLElement);
  #drawn: readonly Drawn[] = [];
  /** Where the focus went when the button went away that tries again. */
  #refuge: Element | undefined;

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

  /** Shows a photo without any findings, or none. Browsers draw it upright, as its EXIF orientation says. */
  show(photo: Photo | undefined): void {
    this.clear();
    // The button that was pressed goes away; the focus must not go with it.
    if (photo && this.#invitation.contains(document.activeElement)) byId('add', HTMLElement).focus();
    this.#invitation.hidden = photo !== undefined;
    this.#photo.hidden = photo === undefined;
    if (!photo) {
      this.#image.removeAttribute('src');
      return;
    }
    const { name, url } = photo;
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
    const hadFocus = this.#problems.contains(document.activeElement);
    this.#problems.replaceChildren();
    if (!hadFocus) return;
    const refuge = document.querySelector('#thumbnails [aria-current]') ?? byId('add', HTMLElement);
    (refuge as HTMLElement).focus();
    this.#refuge = refuge;
  }

  set busy(busy: boolean) {
    this.#progress.hidden = !busy;
  }

  /** Draws a box and a label for each detection; the first ones get the best places. */
  showDetections(detections: readonly Detection[], { width, height }: Size): void {
    this.#setProportions(width, height);
    this.#draw(
      detections.map((finding) => {
        const { label, class_id, score, box: bounds } = finding;
        const { x_min, y_min, x_max, y_max } = bounds;
        const color = css(classColor(class_id));
        const box = make('div', 'box');
        box.style.left = `${(100 * x_min) / width}%`;
        box.style.top = `${(100 * y_min) / height}%`;
        box.style.width = `${(100 * (x_max - x_min)) / width}%`;
        box.style.height = `${(100 * (y_max - y_min)) / height}%`;
        const tag = make('div', 'tag', {}, `${label} ${scorePercent(score)}`);
        for (const { style } of [box, tag]) style.setProperty('--color', color);
        return { finding, parts: [box, tag], box, tag };
      }),
    );
    this.#placeTags();
  }

  /** Lays a mask of its colour over the photo for each segment, and over it the mask's outline. */
  showSegments(segments: readonly Segment[], { width, height }: Size): void {
    this.#setProportions(width, height);
    this.#draw(
      segments.map((finding) => {
        const { class_id, mask } = finding;
        const regions = [make('i'), make('i')] as const;
        for (const { style } of regions) style.maskImage = `url("data:image/png;base64,${mask.png ?? ''}")`;
        const [inside, outlined] = regions;
        const drawn = make('div', 'mask', {}, inside, make('div', 'outline', {}, outlined));
        drawn.style.setProperty('--color', css(classColor(class_id)));
        return { finding, parts: [drawn] };
      }),
    );
  }

  /** How much of the photo the masks cover up, 0 to 1. */
  set opacity(opacity: number) {
    this.#overlay.style.setProperty('--opacity', String(opacity));
  }

  /** Lets one of the findings that are drawn stand out; undefined for none. */
  single(singled: Finding | undefined): void {
    this.#overlay.classList.toggle('singling', singled !== undefined);
    for (const { finding, parts } of this.#drawn) {
      for (const part of parts) part.classList.toggle('single', finding === singled);
    }
  }

  /** Says what went wrong, over the photo's lower edge. @param onRetry called when the problem is gone, to try again */
  showProblem({ message, reference, passing }: ApiError, onRetry: () => void): void {
    const text = make('p', '', {}, message);
    if (reference) text.append(make('span', 'quiet', {}, reference));
    const retry = button('', () => this.#retry(onRetry), 'Try again');
    this.#problems.replaceChildren(make('div', 'problem', {}, text, ...(passing ? [retry] : [])));
    // Whoever tried again, in vain, may do so once more.
    if (passing && document.activeElement === this.#refuge) retry.focus();
    this.#refuge = undefined;
  }

  #retry(onRetry: () => void): void {
    this.clearProblem();
    onRetry();
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
    // All is measured before anything is moved: the browser would lay out anew for each label.
    const labelled = this.#drawn.flatMap(({ box, tag }) => {
      if (!box || !tag) return [];
      const { offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height } = box;
      return [{ tag, box: { left, top, width, height }, width: tag.offsetWidth, height: tag.offsetHeight }];
    });
    const size = { width: this.#overlay.clientWidth, height: this.#overlay.clientHeight };
    const places = placeLabels(labelled, size);
    labelled.forEach(({ box, tag, width }, index) => {
      const place = places[index];
      tag.classList.toggle('homeless', place === undefined);
      // One without a place shows only while it stands out, and then at its box.
      tag.style.left = `${place?.left ?? Math.min(box.left, size.width - width)}px`;
      tag.style.top = `${place?.top ?? box.top}px`;
    });
  }
}

interface Size {
  readonly width: number;
  readonly height: number;
}
