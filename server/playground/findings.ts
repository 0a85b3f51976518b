// The findings beside the photo: what classes there are, to click on and off, and what was found, as text.
import { button, byId, make, swatch } from './dom.ts';

/** A class of the findings. */
export interface Chip {
  readonly classId: number;
  readonly text: string;
  readonly color: string;
}

/** One finding as text. */
export interface Row {
  readonly label: string;
  /** Score, or share of the photo. */
  readonly figure: string;
  /** Where it is, and how large. */
  readonly place: string;
  readonly color: string;
}

/** The classes present; a press hides one or brings it back. */
export class Chips {
  readonly #list = byId('chips', HTMLUListElement);
  readonly #onToggle: (classId: number) => void;
  #shown = '';
  #buttons = new Map<number, HTMLButtonElement>();

  constructor(onToggle: (classId: number) => void) {
    this.#onToggle = onToggle;
  }

  show(chips: readonly Chip[], hidden: ReadonlySet<number>): void {
    const shown = JSON.stringify(chips);
    // The buttons stay where only their state changed: the one that was pressed keeps the focus.
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#buttons = new Map(
        chips.map(({ classId, text, color }) => [
          classId,
          button('chip', () => this.#onToggle(classId), swatch(color), text),
        ]),
      );
      this.#list.replaceChildren(...[...this.#buttons.values()].map((chip) => make('li', '', {}, chip)));
    }
    for (const [classId, chip] of this.#buttons) {
      chip.setAttribute('aria-pressed', String(!hidden.has(classId)));
    }
  }
}

/** The list of findings; the one under the pointer, with the focus or clicked stands out in the photo. */
export class Rows {
  readonly #list = byId('findings', HTMLUListElement);
  readonly #onSingle: (index: number | undefined) => void;
  #pinned: number | undefined;

  /** @param onSingle called with the place in the list of the finding that stands out, or undefined */
  constructor(onSingle: (index: number | undefined) => void) {
    this.#onSingle = onSingle;
  }

  show(rows: readonly Row[]): void {
    this.#pinned = undefined;
    this.#onSingle(undefined);
    this.#list.replaceChildren(...rows.map((row, index) => make('li', '', {}, this.#row(row, index))));
    this.#list.scrollTop = 0;
  }

  #row({ label, figure, place, color }: Row, index: number): HTMLButtonElement {
    const row = button(
      'finding',
      () => this.#pin(index),
      swatch(color),
      make('span', '', {}, label),
      make('span', 'score', {}, figure),
      make('span', 'quiet', {}, place),
    );
    row.setAttribute('aria-pressed', 'false');
    for (const begin of ['pointerenter', 'focus']) row.addEventListener(begin, () => this.#onSingle(index));
    for (const end of ['pointerleave', 'blur']) row.addEventListener(end, () => this.#onSingle(this.#pinned));
    return row;
  }

  #pin(index: number): void {
    this.#pinned = this.#pinned === index ? undefined : index;
    this.#onSingle(this.#pinned);
    this.#list.querySelectorAll('button').forEach((row, at) => {
      row.setAttribute('aria-pressed', String(at === this.#pinned));
    });
  }
}
