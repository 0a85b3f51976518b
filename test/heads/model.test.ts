// What the library says to arguments that cannot be used. The tests call it as JavaScript does, where no compiler looks first.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as thinlens from '../../index.ts';

const { ArgumentError, backboneNamed, buildModel, cost, HEADS, lower, toOnnx } = thinlens;
const { GraphError, guidelines, parametersOf, planQuantization, quantize, tensor } = thinlens;

type Loose = (...args: readonly unknown[]) => unknown;
const loose = (f: unknown) => f as Loose;
const base = { backbone: 'mobilenet_v2', head: 'ssdlite' };
const same = { padding: 'same', epsilon: 1e-3, activation: 'relu6' };

const OPTIONS =
  'backbone, head, name, width, resolution, outputStride, classes, input, backboneStyle, headStyle, taps';
const SIDES = 'a whole number from 1 to 65536, or { height, width } of such';
const CLASSES = 'a whole number from 1 to 1000000';
const WIDTH = 'a number above 0, 16 at most';
const BACKBONES = thinlens
  .backbones()
  .map(({ name }) => name)
  .join(', ');

describe('buildModel names the option, what is right and what it got', () => {
  const cases: readonly [title: string, options: unknown, message: string][] = [
    ['half a pixel', { resolution: 64.5 }, `resolution must be ${SIDES}, got 64.5`],
    ['a negative side', { resolution: -5 }, `resolution must be ${SIDES}, got -5`],
    ['a side as text', { resolution: '300' }, `resolution must be ${SIDES}, got '300', a string`],
    ['a side that is null', { resolution: null }, `resolution must be ${SIDES}, got null`],
    ['a side of a billion', { resolution: 1e9 }, `resolution must be ${SIDES}, got 1000000000`],
    ['a pair as an array', { resolution: [300, 300] }, `resolution must be ${SIDES}, got [300, 300]`],
    [
      'half a pixel of height',
      { resolution: { height: 64.5, width: 64 } },
      'resolution.height must be a whole number from 1 to 65536, got 64.5',
    ],
    [
      'a height alone',
      { resolution: { height: 64 } },
      'resolution.width must be a whole number from 1 to 65536, got undefined',
    ],
    [
      'an oblong for SSDLite',
      { resolution: { height: 300, width: 200 } },
      'resolution must be one side: SSDLite takes square images, not 300x200',
    ],
    ['a class and a half', { classes: 1.5 }, `classes must be ${CLASSES}, got 1.5`],
    ['no class', { classes: 0 }, `classes must be ${CLASSES}, got 0`],
    ['fewer than no class', { classes: -1 }, `classes must be ${CLASSES}, got -1`],
    ['classes that are NaN', { classes: Number.NaN }, `classes must be ${CLASSES}, got NaN`],
    ['a width of a billion', { width: 1e9 }, `width must be ${WIDTH}, got 1000000000`],
    ['no width', { width: 0 }, `width must be ${WIDTH}, got 0`],
    ['a width as text', { width: '1.0' }, `width must be ${WIDTH}, got '1.0', a string`],
    ['a stride as text', { outputStride: '16' }, "outputStride must be 8, 16 or 32, got '16', a string"],
    [
      'a stride that the head has not',
      { head: 'deeplabv3', outputStride: 32 },
      'outputStride is not right: DeepLabv3, mobile form is built for output stride 8 or 16, not 32',
    ],
    [
      'a stride that the backbone has not',
      { backbone: 'squeezenet_1_0', head: 'classifier', outputStride: 32 },
      'outputStride is not right: squeezenet_1_0 has no output stride 32: it can have 8, 16',
    ],
    [
      'a padding of no name',
      { headStyle: { padding: 'x', epsilon: -1, activation: 'gelu' } },
      "headStyle.padding must be same, symmetric or valid, got 'x'",
    ],
    [
      'an epsilon below 0',
      { headStyle: { ...same, epsilon: -1 } },
      'headStyle.epsilon must be a number above 0, got -1',
    ],
    [
      'an activation that there is not',
      { backboneStyle: { ...same, activation: 'gelu' } },
      "backboneStyle.activation must be relu, relu6, sigmoid, hardSigmoid or hardSwish, got 'gelu'",
    ],
    [
      'a style without its epsilon',
      { headStyle: { padding: 'same', activation: 'relu' } },
      'headStyle.epsilon must be a number above 0, got undefined',
    ],
    [
      'a style that is a name',
      { headStyle: 'same' },
      "headStyle must be an object of padding, epsilon and activation, got 'same'",
    ],
    [
      'an input that is a name',
      { input: 'pixels' },
      "input must be { kind: 'pixels', normalization } or { kind: 'tensor' }, got 'pixels'",
    ],
    [
      'pixels without their range',
      { input: { kind: 'pixels' } },
      'input.normalization must be an object of scale and offset, got undefined',
    ],
    [
      'a range of nothing',
      { input: { kind: 'pixels', normalization: { scale: new Array(3), offset: [0, 0, 0] } } },
      'input.normalization.scale must be three numbers: red, green, blue, got [, , ]',
    ],
    ['a name of no letters', { '': 1 }, ` is no option of buildModel: there are ${OPTIONS}`],
    [
      'a range of two colours',
      { input: { kind: 'pixels', normalization: { scale: [1, 1], offset: [0, 0, 0] } } },
      'input.normalization.scale must be three numbers: red, green, blue, got [1, 1]',
    ],
    [
      'taps that are a name',
      { taps: 'backbone.stem' },
      "taps must be an array of names, got 'backbone.stem'",
    ],
    ['a name that is a number', { name: 7 }, 'name must be a string, got 7'],
    [
      'a head that there is not',
      { head: 'SSDLite' },
      "head must be classifier, ssdlite, ssd, deeplabv3 or deeplabv3_aspp, got 'SSDLite'",
    ],
    [
      'a property of every object as a head',
      { head: 'toString' },
      `head must be classifier, ssdlite, ssd, deeplabv3 or deeplabv3_aspp, got 'toString'`,
    ],
    [
      'a head on what carries none',
      { backbone: 'squeezenet_1_0' },
      'head must be classifier: squeezenet_1_0 is for cost and classification, and carries no SSDLite',
    ],
    [
      'a backbone that there is not',
      { backbone: 'mobilenetv2' },
      `backbone must be a Backbone, or the name of one: ${BACKBONES}, got 'mobilenetv2'`,
    ],
    [
      'no backbone',
      { backbone: undefined },
      `backbone must be a Backbone, or the name of one: ${BACKBONES}, got undefined`,
    ],
    [
      'a letter too early',
      { resolutoin: 300 },
      `resolutoin is no option of buildModel: there are ${OPTIONS}; did you mean 'resolution'?`,
    ],
    [
      'underscores',
      { output_stride: 16 },
      `output_stride is no option of buildModel: there are ${OPTIONS}; did you mean 'outputStride'?`,
    ],
    ['a word like none', { gpu: true }, `gpu is no option of buildModel: there are ${OPTIONS}`],
    [
      'a short name within a style',
      { headStyle: { ...same, eps: 1e-3 } },
      "headStyle.eps is no option of headStyle: there are padding, epsilon, activation, widthRule; did you mean 'epsilon'?",
    ],
  ];
  for (const [title, options, message] of cases) {
    test(title, () => {
      const [argument = ''] = message.split(' ');
      assert.throws(() => loose(buildModel)({ ...base, ...(options as object) }), {
        name: 'ArgumentError',
        message,
        argument,
      });
    });
  }

  for (const [got, options] of [
    ['undefined', undefined],
    ['null', null],
    ["'mobilenet_v2'", 'mobilenet_v2'],
  ] as const) {
    test(`${got} instead of options`, () => {
      assert.throws(() => loose(buildModel)(options), {
        name: 'ArgumentError',
        message: `options of buildModel must be an object of ${OPTIONS}, got ${got}`,
      });
    });
  }
});

describe('what is right stays right', () => {
  test('an option that is undefined was not given', () => {
    const absent = Object.fromEntries(OPTIONS.split(', ').map((name) => [name, undefined]));
    const { graph } = loose(buildModel)({ ...absent, ...base }) as thinlens.Model;
    assert.deepEqual(graph, (loose(buildModel)(base) as thinlens.Model).graph);
  });

  test('a backbone may be one that nobody registered', () => {
    const own = { ...backboneNamed('mobilenet_v2'), name: 'own' };
    assert.equal(buildModel({ backbone: own, head: 'classifier' }).graph.name, 'classifier_own');
  });

  test('every head is built at both ends of the sides', () => {
    for (const head of Object.keys(HEADS) as thinlens.HeadName[]) {
      for (const resolution of [1, 65_536]) {
        const { madds } = cost(buildModel({ backbone: 'mobilenet_v2', head, resolution }).graph);
        assert.ok(Number.isSafeInteger(madds) && madds > 0, `${head} ${resolution}: ${madds}`);
      }
    }
  });
});

describe('what takes a Graph says where it is', () => {
  const model = buildModel({ backbone: 'mobilenet_v2', head: 'ssdlite' });
  const none = new Map();
  for (const taker of [cost, lower, toOnnx, guidelines, parametersOf, planQuantization, quantize]) {
    const { name } = taker;
    const take = loose(taker);
    test(`${name} of a model`, () => {
      assert.throws(() => take(model, none, {}), {
        name: 'ArgumentError',
        argument: 'graph',
        message: `graph of ${name} must be a Graph, got an object that has one: pass its .graph, as in ${name}(model.graph)`,
      });
    });
    for (const [given, got] of [
      [undefined, 'undefined'],
      ['ssdlite', "'ssdlite'"],
      [{ nodes: [] }, 'an object of nodes'],
    ] as const) {
      test(`${name} of ${got}`, () => {
        assert.throws(() => take(given, none, {}), {
          name: 'ArgumentError',
          message: `graph of ${name} must be a Graph, such as model.graph of what buildModel returns, got ${got}`,
        });
      });
    }
  }

  test('weights are a Map, of the graph as described and as lowered', () => {
    const { graph, weights } = lower(model.graph);
    assert.throws(() => loose(toOnnx)(graph), {
      message: 'weights of toOnnx must be a Map of tensors by name, got undefined',
    });
    assert.throws(() => loose(weights)({ conv: 1 }), {
      message: 'weights of lower must be a Map of tensors by name, got an object of conv',
    });
  });

  test('options of cost and of an ONNX file are held to what there is', () => {
    assert.throws(() => loose(cost)(model.graph, { elementbytes: 1 }), {
      message:
        "elementbytes is no option of cost: there are elementBytes, slices; did you mean 'elementBytes'?",
    });
    assert.throws(() => cost(model.graph, { elementBytes: -1 }), ArgumentError);
    assert.throws(() => cost(model.graph, { slices: 0 }), ArgumentError);
    const zeros = new Map(
      parametersOf(model.graph).map(({ name, shape }) => [
        name,
        tensor(shape, new Float32Array(shape.reduce((product, size) => product * size, 1))),
      ]),
    );
    const lowered = lower(model.graph);
    const write = (options: unknown) => loose(toOnnx)(lowered.graph, lowered.weights(zeros), options);
    assert.ok(write({ metadata: { license: 'Apache-2.0' }, anySize: false }) instanceof Uint8Array);
    assert.throws(() => write({ anysize: true }), {
      message: "anysize is no option of an ONNX file: there are metadata, anySize; did you mean 'anySize'?",
    });
    assert.throws(
      () => write({ metadata: { n: 1 } }),
      /^ArgumentError: metadata must be an object of strings/,
    );
  });
});

// The builders below buildModel take no table: the graph itself cannot hold what is no dimension.
describe('no graph has a layer that cannot be', () => {
  const backbone = backboneNamed('mobilenet_v2');
  const style = backbone.style;
  const build = (options: object) => () => loose(thinlens.buildClassifier)(backbone, options);
  for (const [title, options, message] of [
    [
      'half a pixel',
      { resolution: 64.5 },
      /'pixels' would be uint8 \[64\.5, 64\.5, 3\], and dimensions are whole/,
    ],
    ['no class', { classes: 0 }, /'classifier' would be float32 \[0\]/],
    ['a class and a half', { classes: 1.5 }, /'classifier' would be float32 \[1\.5\]/],
    ['a class that is NaN', { classes: Number.NaN }, /'classifier' would be float32 \[NaN\]/],
    [
      'a padding of no name',
      { style: { ...style, padding: 'x' } },
      /padding must be same, symmetric or valid, got 'x'/,
    ],
    [
      'an epsilon of 0',
      { style: { ...style, epsilon: 0 } },
      /'backbone\.stem\.bn': epsilon must be above 0, not 0/,
    ],
    [
      'an unknown activation',
      { style: { ...style, activation: 'gelu' } },
      /'backbone\.stem\.act': it must be relu, .* not 'gelu'/,
    ],
  ] as const) {
    test(title, () => {
      assert.throws(build(options), (error: Error) => {
        assert.ok(error instanceof GraphError, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }
});
