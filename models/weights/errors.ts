/** A checkpoint that cannot be read, or does not fit the network. The message names the file or the tensors. */
export class WeightsError extends Error {
  override readonly name = 'WeightsError';
}
