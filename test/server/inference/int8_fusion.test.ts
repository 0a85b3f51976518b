// What ONNX Runtime makes of the catalogued models in int8: integer operators throughout the backbone, or they would be slow.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { lower } from '../../../models/graph/lowering.ts';
import type { OnnxNode } from '../../../models/graph/onnx/schema.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { compile } from '../../../server/zoo/compile.ts';
import { servedGraph } from '../../../server/zoo/network.ts';
import { readQuantization } from '../../../server/zoo/quantization.ts';
import { loadWeights } from '../../../server/zoo/weights.ts';
import { ON_BYTES, optimizedNodes } from '../../models/graph/quantization/runtime.ts';

const home = mkdtempSync(join(tmpdir(), 'thinlens-fusion-'));
after(() => rmSync(home, { recursive: true, force: true }));

/** Of a value, the nodes between it and the inputs, its own included. */
function behind(nodes: readonly OnnxNode[], values: readonly string[]): ReadonlySet<OnnxNode> {
  const producers = new Map(nodes.flatMap((node) => node.output.map((name) => [name, node] as const)));
  const found = new Set<OnnxNode>();
  const waiting = [...values];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const node = producers.get(name);
    if (!node || found.has(node)) continue;
    found.add(node);
    waiting.push(...node.input);
  }
  return found;
}

/** The weight that a convolution of the network reads. */
const weightOf = ({ input }: OnnxNode) => (input[3] ?? '').replace(/\.quantized$/, '');

describe('in int8, ONNX Runtime computes the backbone on bytes alone', () => {
  for (const record of catalog) {
    test(record.name, async () => {
      const found = await readQuantization(record, home);
      assert.ok(found, 'it has no calibration data');
      const { calibrated } = found.quantization;
      const nodes = await optimizedNodes(compile(record, await loadWeights(record, home), calibrated));
      const { graph } = lower(servedGraph(record));
      const convolutions = graph.nodes.flatMap((node) =>
        node.op === 'conv' && node.name.startsWith('backbone.') ? [node.weight] : [],
      );
      assert.ok(convolutions.length > 40);

      const onBytes = nodes.filter(({ opType }) => opType === 'QLinearConv');
      const missing = convolutions.filter((weight) => !onBytes.some((node) => weightOf(node) === weight));
      assert.deepEqual(missing, [], 'convolutions that are not on bytes');
      assert.deepEqual(
        nodes.filter(({ opType }) => opType === 'Conv' || opType === 'FusedConv'),
        [],
      );

      // Pixels are bytes already, or become bytes once; from the first convolution to what the last ones of the backbone give, all that is
      // computed is computed on bytes.
      const backbone = onBytes.filter((node) => convolutions.includes(weightOf(node)));
      const [first] = backbone.filter(
        (node) => ![...behind(nodes, node.input)].some(({ opType }) => opType === 'QLinearConv'),
      );
      assert.ok(first, 'there is no first convolution');
      const before = behind(nodes, first.input);
      const inside = [
        ...behind(
          nodes,
          backbone.flatMap(({ output }) => output),
        ),
      ].filter((node) => !before.has(node));
      const floating = inside.filter(
        ({ opType }) => opType === 'QuantizeLinear' || opType === 'DequantizeLinear',
      );
      assert.deepEqual(
        floating.map(({ opType, input }) => `${opType} of ${input[0]}`),
        [],
      );
      const others = new Set(inside.map(({ opType }) => opType).filter((opType) => !ON_BYTES.has(opType)));
      assert.deepEqual([...others], []);
    });
  }
});
