// What the store's JSON files must be, as JSON Schema (2020-12). The build compiles these to validators.cjs: read validators.ts.
import { backbones } from '../../models/backbones/registry.ts';
import { ACTIVATION_KINDS } from '../../models/graph/graph.ts';
import { LIMITS } from './architecture.ts';
import { MODEL_NAME, TASK_OF_HEAD } from './record.ts';

/** Of a file that says what a model is made int8 from. */
export const QUANTIZATION_FORMAT = 1;
/** Of an imported model's record. */
export const IMPORTED_FORMAT = 1;

const text = { type: 'string' };
const sha256 = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const count = { type: 'integer', minimum: 1 };
const within = ([minimum, maximum]: readonly [number, number]) => ({ minimum, maximum });
const side = { type: 'integer', ...within(LIMITS.resolution) };
const numbers = { type: 'array', items: { type: 'number' } };
const three = { ...numbers, minItems: 3, maxItems: 3 };

/** An object of exactly these properties, `optional` ones being there or not. */
const exactly = (properties: Record<string, unknown>, optional: Record<string, unknown> = {}) => ({
  type: 'object',
  properties: { ...properties, ...optional },
  required: Object.keys(properties),
  additionalProperties: false,
});

const style = exactly(
  {
    padding: { enum: ['same', 'symmetric'] },
    epsilon: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
    activation: { enum: ACTIVATION_KINDS },
  },
  { widthRule: { const: 'torchvision' } },
);

export const fileSchemas = {
  /** quantized/NAME.json, and weights/NAME.int8.json of the package. Ranges and means are looked at by who knows the network. */
  quantization: exactly({
    format: { const: QUANTIZATION_FORMAT },
    model: text,
    weights: sha256,
    estimator: { type: 'string', minLength: 1 },
    images: count,
    agreement: exactly({
      metric: { enum: ['AP', 'mIoU'] },
      value: { type: 'number', minimum: 0, maximum: 1 },
      images: count,
    }),
    ranges: { type: 'object' },
    means: { type: 'object' },
    reference: { type: 'object', additionalProperties: numbers },
  }),
  /** imported/NAME.json */
  imported: exactly(
    {
      format: { const: IMPORTED_FORMAT },
      name: { type: 'string', pattern: MODEL_NAME.source },
      title: text,
      task: { enum: [...new Set(Object.values(TASK_OF_HEAD))] },
      dataset: text,
      head: { enum: Object.keys(TASK_OF_HEAD) },
      backbone: { enum: backbones().map(({ name }) => name) },
      width: { type: 'number', exclusiveMinimum: 0, maximum: 16 },
      outputStride: { enum: [8, 16, 32] },
      input: exactly({ width: side, height: side }),
      normalization: exactly({ scale: three, offset: three }),
      backboneStyle: style,
      headStyle: style,
      classColumns: count,
      labels: {
        type: 'array',
        minItems: 1,
        items: exactly({ classId: { type: 'integer', minimum: 0 }, label: text }),
      },
      source: exactly({
        kind: { const: 'imported' },
        file: text,
        bytes: count,
        sha256,
        origin: text,
        map: text,
        leftOut: { type: 'array', items: text },
      }),
      licence: text,
      attribution: text,
    },
    { alignCorners: { type: 'boolean' } },
  ),
};

export type FileSchemaName = keyof typeof fileSchemas;
