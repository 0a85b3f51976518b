import type { OptionRule, OptionTable } from '../models/arguments.ts';
import { checkOptions, listOf, ofType, oneOf, positiveNumber, wholeNumber } from '../models/arguments.ts';
import { backbones } from '../models/backbones/registry.ts';
import { ACTIVATION_KINDS } from '../models/graph/graph.ts';
import { PADDING_MODES } from '../models/graph/padding.ts';

/** Beyond these a network is a slip of the pen: no published one comes near. */
const MOST_WIDTH = 16;
const SIDES = [1, 65_536] as const;
const CLASSES = [1, 1_000_000] as const;

const side = wholeNumber(SIDES);
const required = (rule: OptionRule): OptionRule => ({ ...rule, required: true });

const style: OptionRule = {
  right: 'an object of padding, epsilon and activation',
  options: {
    padding: required(oneOf(PADDING_MODES)),
    epsilon: required(positiveNumber()),
    activation: required(oneOf(ACTIVATION_KINDS)),
    widthRule: oneOf(['torchvision']),
  },
};

const channels = required(listOf('three numbers: red, green, blue', Number.isFinite, 3));
/** What a network can be fed with. */
const INPUTS: Readonly<Record<string, OptionTable>> = {
  pixels: {
    kind: ofType('string'),
    normalization: {
      right: 'an object of scale and offset',
      options: { scale: channels, offset: channels },
      required: true,
    },
  },
  tensor: { kind: ofType('string') },
};

const kindOf = (input: unknown): string => String((input as { readonly kind?: unknown } | null)?.kind);

/** The options of `buildModel`, but for what depends on the backbone. */
const table = (heads: readonly string[]): OptionTable => ({
  backbone: {
    right: `a Backbone, or the name of one: ${backbones()
      .map(({ name }) => name)
      .join(', ')}`,
    fits: (value) =>
      backbones().some(({ name }) => name === value) ||
      typeof (value as { readonly features?: unknown } | undefined)?.features === 'function',
    required: true,
  },
  head: required(oneOf(heads)),
  name: ofType('string'),
  width: positiveNumber(MOST_WIDTH),
  resolution: {
    ...side,
    right: `${side.right}, or { height, width } of such`,
    options: { height: required(side), width: required(side) },
  },
  outputStride: oneOf([8, 16, 32]),
  classes: wholeNumber(CLASSES),
  input: {
    right: "{ kind: 'pixels', normalization } or { kind: 'tensor' }",
    fits: (value) => Object.hasOwn(INPUTS, kindOf(value)),
  },
  backboneStyle: style,
  headStyle: style,
  taps: listOf('an array of names', (value) => typeof value === 'string'),
});

/** @throws ArgumentError naming the first option of `buildModel` that is not there, not right or missing */
export function checkModelOptions(options: unknown, heads: readonly string[]): void {
  checkOptions('buildModel', table(heads), options);
  const { input } = options as { readonly input?: unknown };
  const inputTable = INPUTS[kindOf(input)];
  if (inputTable) checkOptions('input', inputTable, input, 'input.');
}
