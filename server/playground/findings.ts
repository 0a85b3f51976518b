// The findings beside the photo: what classes there are, to click on and off, and what was found, as text.
import type { Detection, Segment } from '../../openapi/types.ts';
import { button, byId, make, swatch } from './dom.ts';

/** A finding of an answer, as it came. */
export type Finding = Detection | Segment;

/** A class of the findings. */
export interface Chip {
  readonly classId: number;
  readonly text: string;
  readonly color: string;
}

/** One finding as text. */
export interface Row {
  /** What the row is about: the same finding has the same row, whatever else is shown. */
  readonly finding: Finding;
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
  readonly #onSingle: (finding: Finding | undefined) => void;
  #rows = new Map<Finding, HTMLButtonElement>();
  #pinned: Finding | undefined;

  /** @param onSingle called with the finding that stands out, or undefined */
  constructor(onSingle: (finding: Finding | undefined) => void) {
    this.#onSingle = onSingle;
  }

  /** Shows other rows. One that was clicked stays so as long as it is among them. */
  show(rows: readonly Row[]): void {
    const [first] = this.#rows.keys();
    if (first !== rows[0]?.finding) this.#list.scrollTop = 0;
    this.#rows = new Map(
      rows.map((row) => [row.finding, this.#rows.get(row.finding) ?? this.#rowOf(row)] as const),
    );
    this.#list.replaceChildren(...[...this.#rows.values()].map((row) => make('li', '', {}, row)));
    this.#pin(this.#pinned && this.#rows.has(this.#pinned) ? this.#pinned : undefined);
  }

  #rowOf({ finding, label, figure, place, color }: Row): HTMLButtonElement {
    const row = button(
      'finding',
      () => this.#pin(this.#pinned === finding ? undefined : finding),
      swatch(color),
      make('span', '', {}, label),
      make('span', 'score', {}, figure),
      make('span', 'quiet', {}, place),
    );
    for (const begin of ['pointerenter', 'focus']) row.addEventListener(begin, () => this.#onSingle(finding));
    for (const end of ['pointerleave', 'blur']) row.addEventListener(end, () => this.#onSingle(this.#pinned));
    return row;
  }

  #pin(pinned: Finding | undefined): void {
    this.#pinned = pinned;
    this.#onSingle(pinned);
    for (const [finding, row] of this.#rows) row.setAttribute('aria-pressed', String(finding === pinned));
  }
}
