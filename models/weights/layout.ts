import type { Tensor } from '../graph/tensor.ts';
import { tensor } from '../graph/tensor.ts';

/** TensorFlow's convolution kernel [height, width, in, out] as [out, in, height, width]. */
export function hwioToOihw(kernel: Tensor): Tensor {
  const [height = 0, width = 0, inputs = 0, outputs = 0] = kernel.shape;
  const data = new Float32Array(kernel.data.length);
  for (let o = 0, to = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let tap = 0; tap < height * width; tap++)
        data[to++] = kernel.data[(tap * inputs + i) * outputs + o] as number;
    }
  }
  return tensor([outputs, inputs, height, width], data);
}

/** TensorFlow's depthwise kernel [height, width, channels, multiplier] as [channels * multiplier, 1, height, width]. */
export function depthwiseToOihw(kernel: Tensor): Tensor {
  const [height = 0, width = 0, channels = 0, multiplier = 0] = kernel.shape;
  const flat = hwioToOihw({ shape: [height, width, 1, channels * multiplier], data: kernel.data });
  return tensor([channels * multiplier, 1, height, width], flat.data);
}

/** Multiplies each output channel of a [out, in, height, width] kernel by its own factor [out]. */
export function scaleChannels(kernel: Tensor, factors: Tensor): Tensor {
  const perChannel = kernel.data.length / factors.data.length;
  return tensor(
    kernel.shape,
    kernel.data.map((value, index) => value * (factors.data[Math.floor(index / perChannel)] as number)),
  );
}
