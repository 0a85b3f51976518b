// The little that the page needs to build elements. Text goes in as text, so no file name or label can become markup.

/** The element of index.html with this id. @throws Error where it is missing or of another kind */
export function byId<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return found;
}

/** A new element with a class, attributes and children. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className = '',
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A new button that does `act`. */
export function button(
  className: string,
  act: () => void,
  ...children: (Node | string)[]
): HTMLButtonElement {
  const made = make('button', className, { type: 'button' }, ...children);
  made.addEventListener('click', act);
  return made;
}

/** A small square of a class's colour. */
export function swatch(color: string): HTMLElement {
  const made = make('span', 'swatch', { 'aria-hidden': 'true' });
  made.style.setProperty('--color', color);
  return made;
}

/** Offers bytes as a file to save. */
export function save(bytes: Blob, name: string): void {
  const url = URL.createObjectURL(bytes);
  make('a', '', { href: url, download: name }).click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
