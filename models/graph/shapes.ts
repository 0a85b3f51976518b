import type { DataType, Node, Shape, Value } from './graph.ts';
import { elementCount, GraphError } from './graph.ts';

/** Type and shape of what `node` gives for these inputs. @throws GraphError where they do not fit. */
export function inferShape(node: Node, inputs: readonly Value[]): { type: DataType; shape: Shape } {
  const [first] = inputs;
  if (!first) throw new GraphError(`${node.op} '${node.name}' has no input`);
  const fail = (what: string): never => {
    const given = inputs.map((value) => `${value.name} ${value.type} [${value.shape.join(', ')}]`).join(', ');
    throw new GraphError(`${node.op} '${node.name}': ${what}; it was given ${given}`);
  };
  const map = (): readonly [number, number, number] => {
    const [channels, height, width] = first.shape;
    if (first.shape.length !== 3 || !channels || !height || !width) return fail('needs a [C, H, W] map');
    return [channels, height, width];
  };
  if (node.op !== 'cast' && node.op !== 'transpose' && node.op !== 'reshape' && first.type !== 'float32') {
    fail('needs float32');
  }
  switch (node.op) {
    case 'cast':
      return { type: node.to, shape: first.shape };
    case 'transpose': {
      const sorted = [...node.permutation].sort((a, b) => a - b);
      if (sorted.length !== first.shape.length || sorted.some((axis, index) => axis !== index)) {
        fail(`[${node.permutation.join(', ')}] is not a permutation of the dimensions`);
      }
      return { type: first.type, shape: node.permutation.map((axis) => first.shape[axis] ?? 0) };
    }
    case 'reshape':
      if (elementCount(node.shape) !== elementCount(first.shape)) {
        fail(`[${node.shape.join(', ')}] holds another number of elements`);
      }
      return { type: first.type, shape: node.shape };
    case 'affine': {
      const [channels] = map();
      if (node.scale.length !== channels || node.offset.length !== channels) {
        fail('needs one scale and offset a channel');
      }
      return { type: first.type, shape: first.shape };
    }
    case 'conv': {
      const [channels, height, width] = map();
      if (channels % node.groups !== 0 || node.outChannels % node.groups !== 0) {
        fail(`${channels} -> ${node.outChannels} channels do not divide into ${node.groups} groups`);
      }
      const { padding, kernel, stride, dilation } = node;
      const along = (size: number, window: number, pad: number) =>
        Math.floor((size + pad - (window - 1) * dilation - 1) / stride) + 1;
      const outHeight = along(height, kernel[0], padding.top + padding.bottom);
      const outWidth = along(width, kernel[1], padding.left + padding.right);
      if (outHeight < 1 || outWidth < 1) fail('the kernel is larger than the padded input');
      return { type: first.type, shape: [node.outChannels, outHeight, outWidth] };
    }
    case 'batchNorm':
      map();
      return { type: first.type, shape: first.shape };
    case 'activation':
      return { type: first.type, shape: first.shape };
    case 'add': {
      const [, second] = inputs;
      if (inputs.length !== 2 || second?.shape.join() !== first.shape.join())
        fail('needs two values of one shape');
      return { type: first.type, shape: first.shape };
    }
    case 'concat': {
      if (!(node.axis < first.shape.length)) fail(`there is no axis ${node.axis}`);
      if (inputs.some(({ type }) => type !== first.type)) fail('needs values of one type');
      const others = (value: Value) => value.shape.filter((_, axis) => axis !== node.axis).join();
      if (inputs.some((value) => others(value) !== others(first))) fail(`only axis ${node.axis} may differ`);
      const joined = inputs.reduce((sum, value) => sum + (value.shape[node.axis] ?? 0), 0);
      return {
        type: first.type,
        shape: first.shape.map((size, axis) => (axis === node.axis ? joined : size)),
      };
    }
    case 'globalAveragePool':
      return { type: first.type, shape: [map()[0], 1, 1] };
    case 'fullyConnected':
      if (first.shape.length !== 1) fail('needs a flat value [features]');
      return { type: first.type, shape: [node.outFeatures] };
  }
}
