// The photos of the strip, and how they come in: dropped, pasted, chosen, or a sample that the server has.
import { type Answer, ApiError } from './api.ts';
import type { CurlSource } from './curl.ts';
import { button, byId, make } from './dom.ts';

/** One photo, and what was answered about it so far. */
export interface Photo {
  readonly name: string;
  /** For an image element. */
  readonly url: string;
  readonly kind: 'file' | 'pasted' | 'sample';
  /** @throws ApiError where it cannot be read */
  readonly bytes: () => Promise<Blob>;
  /** By model and precision; one that is on its way counts. */
  readonly answers: Map<string, Promise<Answer>>;
}

const SAMPLES = ['cat.jpg', 'coffee.jpg', 'street.jpg'];

/** The strip of thumbnails, of which one may be picked. */
export class Strip {
  readonly #list = byId('thumbnails', HTMLUListElement);
  readonly #buttons = new Map<Photo, HTMLButtonElement>();
  readonly #onPick: (photo: Photo | undefined) => void;
  readonly #onRemove: (photo: Photo) => void;
  #firstSample: HTMLElement | null = null;

  /**
   * @param onPick called with the photo to show, or undefined where the one that was shown is removed and was the last
   * @param onRemove called with a photo that was removed
   */
  constructor(onPick: (photo: Photo | undefined) => void, onRemove: (photo: Photo) => void) {
    this.#onPick = onPick;
    this.#onRemove = onRemove;
    for (const name of SAMPLES) this.#append(sample(name), `Sample ${name}`, null);
    this.#firstSample = this.#list.firstElementChild as HTMLElement | null;
    acceptFiles((files, kind) => this.add(files, kind));
  }

  /** Adds files, before the samples, and picks the first of them. */
  add(files: readonly File[], kind: 'file' | 'pasted'): void {
    const photos = files.map((file) => fromFile(file, kind));
    for (const photo of photos) this.#append(photo, photo.name, this.#firstSample);
    if (photos[0]) this.#pick(photos[0]);
  }

  #append(photo: Photo, title: string, before: HTMLElement | null): void {
    const image = make('img', '', { alt: title, src: photo.url, decoding: 'async', draggable: 'false' });
    image.addEventListener('error', () => image.replaceWith(make('span', 'name', {}, title)));
    const thumbnail = button('', () => this.#pick(photo), image);
    thumbnail.title = title;
    this.#buttons.set(photo, thumbnail);
    const item = make('li', '', {}, thumbnail);
    if (photo.kind !== 'sample') this.#makeRemovable(photo, thumbnail, item);
    this.#list.insertBefore(item, before);
  }

  #makeRemovable(photo: Photo, thumbnail: HTMLButtonElement, item: HTMLElement): void {
    const remove = button('remove', () => this.#remove(photo, item), '×');
    remove.title = `Remove ${photo.name}`;
    remove.setAttribute('aria-label', remove.title);
    thumbnail.setAttribute('aria-keyshortcuts', 'Delete');
    item.addEventListener('keydown', ({ key }) => {
      if (key === 'Delete') this.#remove(photo, item);
    });
    item.append(remove);
  }

  /** Forgets a photo. Its neighbour, the next one or else the one before, is picked and has the focus in its stead. */
  #remove(photo: Photo, item: HTMLElement): void {
    const own = [...this.#buttons.keys()].filter(({ kind }) => kind !== 'sample');
    const at = own.indexOf(photo);
    const neighbour = own[at + 1] ?? own[at - 1];
    const wasPicked = this.#buttons.get(photo)?.hasAttribute('aria-current');
    const hadFocus = item.contains(document.activeElement);
    this.#buttons.delete(photo);
    item.remove();
    if (wasPicked) this.#pick(neighbour);
    if (hadFocus)
      (neighbour ? this.#buttons.get(neighbour) : this.#firstSample?.querySelector('button'))?.focus();
    URL.revokeObjectURL(photo.url);
    this.#onRemove(photo);
  }

  #pick(photo: Photo | undefined): void {
    for (const [other, thumbnail] of this.#buttons) {
      if (other === photo) thumbnail.setAttribute('aria-current', 'true');
      else thumbnail.removeAttribute('aria-current');
    }
    if (photo) this.#buttons.get(photo)?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    this.#onPick(photo);
  }
}

/** Where a command line finds the photo. */
export function curlSource({ kind, name, url }: Photo): CurlSource {
  return kind === 'sample' ? { kind: 'url', url } : { kind: 'file', name };
}

/** What has to be so for the command to find the photo. */
export function curlNote({ kind, name }: Photo): string {
  if (kind === 'sample') return 'Works anywhere that reaches this server.';
  if (kind === 'pasted') return `The picture was pasted: save it as ${name} first.`;
  return `Run it in the folder of ${name}.`;
}

function sample(name: string): Photo {
  const url = new URL(`playground/${name}`, document.baseURI).href;
  const bytes = async () => {
    const response = await fetch(url).catch(() => undefined);
    if (!response?.ok)
      throw new ApiError('The sample could not be loaded. Is the server still running?', '', true);
    return response.blob();
  };
  return { name, url, kind: 'sample', bytes, answers: new Map() };
}

function fromFile(file: File, kind: 'file' | 'pasted'): Photo {
  const bytes = async () => {
    // A folder, or a file that went away since: fetch would only say that it failed.
    const readable = await file
      .slice(0, 1)
      .arrayBuffer()
      .catch(() => undefined);
    if (!readable) throw new ApiError(`${file.name} could not be read: is it a file, and still there?`);
    return file;
  };
  return { name: file.name, url: URL.createObjectURL(file), kind, bytes, answers: new Map() };
}

/** Listens for files: chosen, dropped anywhere on the page, or pasted. */
function acceptFiles(onFiles: (files: readonly File[], kind: 'file' | 'pasted') => void): void {
  const input = byId('file', HTMLInputElement);
  for (const id of ['choose', 'add']) {
    byId(id, HTMLButtonElement).addEventListener('click', () => input.click());
  }
  input.addEventListener('change', () => {
    onFiles([...(input.files ?? [])], 'file');
    // So that choosing the same file again is a change again.
    input.value = '';
  });

  const stage = byId('stage', HTMLElement);
  const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  window.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    stage.classList.add('dropping');
  });
  window.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) stage.classList.remove('dropping');
  });
  window.addEventListener('drop', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    stage.classList.remove('dropping');
    onFiles([...(event.dataTransfer?.files ?? [])], 'file');
  });

  window.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    // Browsers call a picture without a file `image.png`; one that was copied as a file keeps its name.
    onFiles(files, files.length === 1 && /^image\.\w+$/.test(files[0]?.name ?? '') ? 'pasted' : 'file');
  });
}
