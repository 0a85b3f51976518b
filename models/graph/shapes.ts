import { described, orList } from '../arguments.ts';
import type { DataType, Node, Shape, Value } from './graph.ts';
import { ACTIVATION_KINDS, elementCount, GraphError } from './graph.ts';

/**
 * Windows along one axis. Rounding up takes in a last window that begins inside the input or its padding before it; one
 * that would begin in the padding after it is left out.
 */
function windows(size: number, before: number, after: number, window: number, stride: number, ceil: boolean) {
  const room = size + before + after - window;
  const count = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  return ceil && (count - 1) * stride >= size + before ? count - 1 : count;
}

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
      if (!(node.epsilon > 0)) fail(`epsilon must be above 0, not ${described(node.epsilon)}`);
      return { type: first.type, shape: first.shape };
    case 'activation':
      if (!ACTIVATION_KINDS.includes(node.kind))
        fail(`it must be ${orList(ACTIVATION_KINDS)}, not ${described(node.kind)}`);
      return { type: first.type, shape: first.shape };
    case 'add':
    case 'multiply': {
      const [, second] = inputs;
      const wanted = [first.shape.join(), [first.shape[0], 1, 1].join()];
      if (inputs.length !== 2 || !second || !wanted.includes(second.shape.join()))
        fail('needs two values of one shape, or a second of [C, 1, 1]');
      return { type: first.type, shape: first.shape };
    }
    case 'slice': {
      const size = first.shape[node.axis] ?? 0;
      if (!(node.start >= 0 && node.start < node.end && node.end <= size))
        fail(`${node.start} to ${node.end} is no part of the ${size} along axis ${node.axis}`);
      return {
        type: first.type,
        shape: first.shape.map((length, axis) => (axis === node.axis ? node.end - node.start : length)),
      };
    }
    case 'channelShuffle':
      if (map()[0] % node.groups !== 0) fail(`the channels do not divide into ${node.groups} groups`);
      return { type: first.type, shape: first.shape };
    case 'maxPool':
    case 'averagePool': {
      const [channels, height, width] = map();
      const { padding, kernel, stride } = node;
      const ceil = node.op === 'maxPool' && node.ceil;
      const outHeight = windows(height, padding.top, padding.bottom, kernel[0], stride, ceil);
      const outWidth = windows(width, padding.left, padding.right, kernel[1], stride, ceil);
      if (outHeight < 1 || outWidth < 1) fail('the window is larger than the padded input');
      return { type: first.type, shape: [channels, outHeight, outWidth] };
    }
    case 'broadcast': {
      const [channels, height, width] = map();
      if (height !== 1 || width !== 1) fail('needs a [C, 1, 1] value');
      return { type: first.type, shape: [channels, ...node.size] };
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
