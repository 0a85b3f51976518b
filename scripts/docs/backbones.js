import { table } from './markdown.js';

/** docs/reference/backbones.md: the registry, and what its networks cost. */
export async function backbonesPage() {
  const { backbones } = await import('../../dist/models/backbones/registry.js');
  const { HEADS } = await import('../../dist/heads/model.js');
  const { LIMITS } = await import('../../dist/server/zoo/architecture.js');
  const all = backbones();
  const sections = await Promise.all(all.map(section));
  return `<!-- Written by scripts/generate-docs.js from the registry in models/backbones/: edit that instead. -->
# Backbones

${table(
  ['name', 'title', 'widths', 'output strides', 'heads'],
  all.map(({ name, title, widths, outputStrides, carriesHeads }) => [
    `[\`${name}\`](#${name})`,
    title,
    widths.join(', '),
    outputStrides.join(', '),
    carriesHeads ? 'detection, segmentation' : 'classifier only',
  ]),
)}

\`thinlens cost\` prints these figures and more, and \`GET /v1/backbones/{backbone}\` answers with them, for any input from
${LIMITS.resolution.join(' to ')} pixels a side. The widths are those that were published. Others from ${LIMITS.width.join(' to ')} can be counted too, unless the family is a
few tables and no rule (ShuffleNet, SqueezeNet).

## How it is counted

- **MAdds**: multiply-accumulates of convolution and fully connected layers for one image. Bias, normalisation, activation functions and
  pooling are not counted. A FLOP count is about twice this.
- **Parameters**: weights, biases, and batch normalisation's gamma and beta, as papers and torchvision count. **Folded** is what
  runs: batch normalisation multiplied into the convolutions.
- **Memory access**: each weight, each input and each output of every layer once, as if a cache held all of a layer and nothing between
  two. A layer is a convolution with its batch normalisation folded in; an activation function whose input is made by a convolution or
  fully connected layer for it alone runs inside that layer. Reshaping moves nothing, a slice reads what it gives. An element is 4
  bytes here (\`--element-bytes\` 2 for fp16, 1 for int8).
- **Peak activations**: the largest sum of one layer's inputs and output, which is the MobileNetV2 paper's bound (arXiv 1801.04381,
  section 5.1); weights are not in it. **By blocks**: the same with each block of the network's table as one operator, of
  which its inputs, its outputs and a part of its inner values count: these are computed in slices of their channels, 4 unless
  \`--slices\` says otherwise. A map that squeeze-and-excitation needs as a whole is kept whole. MB is 1 000 000 bytes.

What a head is built with where nothing else is asked for:

${table(
  ['head', 'what', 'input', 'columns', 'output stride'],
  Object.entries(HEADS).map(([name, { title, resolution, classes, outputStrides }]) => [
    `\`${name}\``,
    title,
    `${resolution}x${resolution}`,
    name === 'classifier' ? String(classes) : `${classes}, a background among them`,
    String(Math.max(...outputStrides)),
  ]),
)}

The extra layers of SSD heads have the backbone's width.

${sections.join('\n')}`;
}

async function section(backbone) {
  const { name, title, paper, reference, outputStrides, carriesHeads } = backbone;
  return `## ${name}

${title}. Paper: <${paper}>. Compared with: ${reference}. Output strides: ${outputStrides.join(', ')}.

As a classifier at 224x224:

${await classifiers(backbone)}
${carriesHeads ? `\nWith heads, MAdds and parameters:\n\n${await heads(backbone)}\n` : '\nIt carries no detection or segmentation head.\n'}
${await taps(backbone)}
`;
}

const millions = (count) => `${(count / 1e6).toFixed(count < 1e7 ? 3 : 1)} M`;
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

async function networkOf(request) {
  const { architectureOf } = await import('../../dist/server/zoo/architecture.js');
  const { describeNetwork } = await import('../../dist/server/zoo/backbone_description.js');
  return describeNetwork(architectureOf(request)).network;
}

async function classifiers({ name, widths }) {
  const rows = widths.map(async (width) => {
    const network = await networkOf({ backbone: name, width });
    return [
      String(width),
      millions(network.madds),
      millions(network.parameters),
      millions(network.parameters_folded),
      megabytes(network.memory_access.total_bytes),
      megabytes(network.peak_memory.layers.bytes),
      megabytes(network.peak_memory.blocks.bytes),
    ];
  });
  const head = ['width', 'MAdds', 'parameters', 'folded', 'memory access', 'peak activations', 'by blocks'];
  return table(head, await Promise.all(rows));
}

async function heads({ name, widths }) {
  const { HEADS } = await import('../../dist/heads/model.js');
  const names = Object.keys(HEADS).filter((head) => head !== 'classifier');
  const rows = widths.map(async (width) => {
    const cells = names.map(async (head) => {
      const { madds, parameters } = await networkOf({ backbone: name, width, head });
      return `${millions(madds)}, ${millions(parameters)}`;
    });
    return [String(width), ...(await Promise.all(cells))];
  });
  return table(['width', ...names.map((head) => `\`${head}\``)], await Promise.all(rows));
}

/** The feature maps that a head can read, at width 1 and 224x224. */
async function taps(backbone) {
  const { GraphBuilder } = await import('../../dist/models/graph/builder.js');
  const { featuresOf } = await import('../../dist/models/backbones/backbone.js');
  const builder = new GraphBuilder(backbone.name);
  const features = featuresOf(backbone, builder, builder.input('input', 'float32', [3, 224, 224]), {
    width: 1,
    outputStride: Math.max(...backbone.outputStrides),
    style: backbone.style,
  });
  const row = (what, { name, shape }) => [what, `\`${name}\``, shape.join('x')];
  const named = [
    row("SSDLite's first", features.expansion),
    row("DeepLabv3's", features.bottleneck),
    row("SSDLite's second, the classifier's", features.final),
  ];
  const rows = [
    ...(backbone.carriesHeads ? named : [row("the classifier's", features.final)]),
    ...[...features.byStride].map(([stride, value]) => row(`last at stride ${stride}`, value)),
  ];
  return `Feature maps at width 1 and 224x224:\n\n${table(['map', 'value', 'shape'], rows)}`;
}
