// The catalog against the files it points at, and each trained network against the record that PyTorch wrote of it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { cost } from '../../../models/graph/cost.ts';
import type { Convolution, Graph } from '../../../models/graph/graph.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { networkOf } from '../../../server/zoo/network.ts';
import type { ModelRecord, PackageSource } from '../../../server/zoo/record.ts';

/** What training/record.py says of a convolution. */
interface RecordedLayer {
  readonly out: number;
  readonly in: number;
  readonly k: number;
  readonly stride: number;
  readonly dilation: number;
  readonly groups: number;
  /** `same`, or the pixels on every side. */
  readonly pad: 'same' | number;
  readonly bn: boolean;
  readonly act: string;
  readonly bias: boolean;
}

interface Recorded {
  readonly name: string;
  readonly parameters: number;
  readonly multiply_accumulates: number;
  readonly architecture: {
    readonly layers: Readonly<Record<string, RecordedLayer>>;
    readonly bn_eps: number;
  };
  readonly measured: { readonly AP: number; readonly AP50: number } | { readonly mIoU: number };
}

const trained = catalog.filter(
  (record): record is ModelRecord & { readonly source: PackageSource } => record.source.kind === 'package',
);

const recordOf = (name: string) => JSON.parse(readFileSync(`weights/${name}.json`, 'utf8')) as Recorded;

/** The name that the training kit gives a convolution. */
const kitName = (conv: Convolution) => conv.name.replace(/\.conv$/, '');

/** A convolution of the graph in the record's terms; its padding is compared apart. */
function described(graph: Graph, conv: Convolution): Omit<RecordedLayer, 'pad'> {
  const readers = graph.nodes.filter(({ inputs }) => inputs.includes(conv.name));
  const norm = readers.find(({ op }) => op === 'batchNorm');
  const last = norm
    ? graph.nodes.find(({ inputs, op }) => op === 'activation' && inputs[0] === norm.name)
    : undefined;
  return {
    out: conv.outChannels,
    in: graph.values.get(conv.inputs[0] ?? '')?.shape[0] ?? 0,
    k: conv.kernel[0],
    stride: conv.stride,
    dilation: conv.dilation,
    groups: conv.groups,
    bn: norm !== undefined,
    act: last?.op === 'activation' ? last.kind : 'none',
    bias: conv.bias !== undefined,
  };
}

describe('the catalog', () => {
  test('has each name once, made of head, backbone and dataset', () => {
    assert.equal(new Set(catalog.map(({ name }) => name)).size, catalog.length);
    for (const { name, head, backbone, dataset } of catalog)
      assert.equal(name, `${head}_${backbone}_${dataset}`);
  });

  test('has every file of weights/, and no other', () => {
    const files = readdirSync('weights').filter((name) => name.endsWith('.safetensors'));
    assert.deepEqual(trained.map(({ source }) => source.file).sort(), files.sort());
  });

  for (const record of trained) {
    const { name, source } = record;

    test(`${name} is pinned to the very bytes of its file`, () => {
      const bytes = readFileSync(`weights/${source.file}`);
      assert.equal(bytes.length, source.bytes);
      assert.equal(createHash('sha256').update(bytes).digest('hex'), source.sha256);
    });

    test(`${name} is the network that was trained, layer for layer`, () => {
      const recorded = recordOf(name);
      const { graph } = networkOf(record);
      const convolutions = graph.nodes.filter((node): node is Convolution => node.op === 'conv');
      const { layers, bn_eps } = recorded.architecture;
      assert.deepEqual(convolutions.map(kitName).sort(), Object.keys(layers).sort());
      for (const conv of convolutions) {
        const { pad, ...layer } = layers[kitName(conv)] as RecordedLayer;
        const [, height = 0, width = 0] = graph.values.get(conv.inputs[0] ?? '')?.shape ?? [];
        // Squeeze-and-excitation's activations and gates are no part of the record's convolutions.
        assert.deepEqual(described(graph, conv), layer, conv.name);
        const { top, left, bottom, right } = conv.padding;
        if (pad === 'same') {
          const total = (size: number) =>
            Math.max(
              (Math.ceil(size / layer.stride) - 1) * layer.stride + (layer.k - 1) * layer.dilation + 1 - size,
              0,
            );
          assert.deepEqual([top + bottom, left + right], [total(height), total(width)], conv.name);
          assert.ok(bottom - top === 0 || bottom - top === 1, `${conv.name}: the odd pixel goes after`);
        } else {
          assert.deepEqual([top, left, bottom, right], [pad, pad, pad, pad], conv.name);
        }
      }
      for (const node of graph.nodes)
        if (node.op === 'batchNorm') assert.equal(node.epsilon, bn_eps, node.name);
    });

    test(`${name} costs what its record counted`, () => {
      const recorded = recordOf(name);
      const { madds, parameters } = cost(networkOf(record).graph);
      assert.deepEqual([parameters, madds], [recorded.parameters, recorded.multiply_accumulates]);
    });

    test(`${name} states the accuracy of its record`, () => {
      const { measured } = recordOf(name);
      const [metric, value] = 'AP' in measured ? ['AP', measured.AP] : ['mIoU', measured.mIoU];
      assert.deepEqual([record.accuracy?.metric, record.accuracy?.value], [metric, value]);
    });

    test(`${name} has a model card and a line of the table, with its figures`, () => {
      const { measured } = recordOf(name);
      const wanted = 'AP' in measured ? [measured.AP, measured.AP50] : [measured.mIoU];
      const figures = `**${wanted.map((value) => (100 * value).toFixed(1)).join(' / ')}**`;
      const card = readFileSync(`docs/models/${name}.md`, 'utf8');
      assert.ok(card.startsWith(`# ${name}\n`) && card.includes(figures), figures);
      const table = readFileSync('docs/models/README.md', 'utf8').split('\n');
      assert.ok(table.find((line) => line.includes(`(${name}.md)`))?.includes(figures), figures);
    });
  }
});
