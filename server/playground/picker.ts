// The choice of model and precision.
import type { Model } from '../../openapi/types.ts';
import { type ApiError, type Choice, listModels } from './api.ts';
import { byId, make } from './dom.ts';
import { modelFacts, modelOption, sentence } from './format.ts';

const GROUPS = [
  ['detection', 'Detection'],
  ['segmentation', 'Segmentation'],
] as const;
/** While models load, the list is asked for again. */
const POLL_MS = 1000;

export class Picker {
  readonly #model = byId('model', HTMLSelectElement);
  readonly #precision = byId('precision', HTMLSelectElement);
  readonly #fallback = byId('fallback', HTMLElement);
  readonly #facts = byId('facts', HTMLElement);
  readonly #onChoice: (choice: Choice) => void;
  #models: readonly Model[] = [];
  /** By the models' names. */
  #options: ReadonlyMap<string, HTMLOptionElement> = new Map();
  /** The precision that the person asked for, of whichever model has it. */
  #wanted: string | undefined;

  /** @param onChoice called when a model becomes chosen, by the person or by being the first that is ready */
  constructor(onChoice: (choice: Choice) => void) {
    this.#onChoice = onChoice;
    this.#model.addEventListener('change', () => this.#choose());
    this.#precision.addEventListener('change', () => {
      this.#wanted = this.#precision.value;
      this.#tell();
    });
  }

  /** What is chosen; undefined while no model is ready. */
  get choice(): Choice | undefined {
    const model = this.#models.find(({ name, state }) => name === this.#model.value && state === 'ready');
    return model && { model, precision: this.#precision.value };
  }

  /** Gets the models, again and again while one of them loads. @param onError told of an answer that did not come */
  async load(onError: (error: ApiError) => void): Promise<void> {
    try {
      const models = await listModels();
      this.#update(models.filter(({ task }) => GROUPS.some(([name]) => name === task)));
    } catch (error) {
      onError(error as ApiError);
      return;
    }
    if (this.#models.some(({ state }) => state === 'loading')) setTimeout(() => this.load(onError), POLL_MS);
  }

  #update(models: readonly Model[]): void {
    const before = this.choice;
    this.#models = models;
    this.#showOptions();
    if (before) {
      this.#model.value = before.model.name;
      if (this.choice) return;
    }
    const first = GROUPS.flatMap(([task]) => models.filter((model) => model.task === task)).find(
      ({ state }) => state === 'ready',
    );
    if (first) {
      this.#model.value = first.name;
      this.#choose();
    } else {
      this.#facts.textContent = models.some(({ state }) => state === 'loading')
        ? 'The models are loading.'
        : 'No model of this server can run; the list says why.';
    }
  }

  /** A list that is open stays so while models load: only what changes of an option is written. */
  #showOptions(): void {
    const models = this.#models;
    if (models.length !== this.#options.size || models.some(({ name }) => !this.#options.has(name))) {
      this.#options = new Map(models.map(({ name }) => [name, make('option', '', { value: name })]));
      const groups = GROUPS.map(([task, label]) => {
        const those = models.filter((model) => model.task === task);
        return make('optgroup', '', { label }, ...those.flatMap(({ name }) => this.#options.get(name) ?? []));
      });
      this.#model.replaceChildren(...groups.filter(({ childElementCount }) => childElementCount > 0));
      this.#model.disabled = models.length === 0;
    }
    for (const model of models) {
      const option = this.#options.get(model.name);
      const text = modelOption(model);
      if (!option) continue;
      option.disabled = model.state !== 'ready';
      if (option.textContent !== text) option.textContent = text;
    }
  }

  #choose(): void {
    const model = this.#models.find(({ name }) => name === this.#model.value);
    if (!model) return;
    const { precisions, default_precision = '', precision_fallback: fallback } = model;
    this.#precision.replaceChildren(...precisions.map((name) => make('option', '', {}, name)));
    this.#precision.value = precisions.find((name) => name === this.#wanted) ?? default_precision;
    this.#precision.disabled = precisions.length < 2;
    this.#fallback.hidden = fallback === undefined;
    this.#fallback.textContent = fallback ? sentence(`Runs in fp32: ${fallback.detail}`) : '';
    this.#tell();
  }

  #tell(): void {
    const { choice } = this;
    if (!choice) return;
    const facts = modelFacts(choice.model, choice.precision);
    this.#facts.replaceChildren(
      ...facts.flatMap((fact, at) => [at > 0 ? ' · ' : '', make('span', '', {}, fact)]),
    );
    this.#onChoice(choice);
  }
}
