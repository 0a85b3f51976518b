import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Has V8 collect its whole heap once for so many pieces of work. Bodies, photos and outputs are large buffers outside a small heap: V8
 * would start a marking cycle every few dozen of them, and doing that in the background costs up to a sixth of a photo's CPU time. So
 * that is switched off; but then V8 lets garbage lie until a far limit, and resident memory grows for tens of thousands of photos. A
 * collection takes some 10 ms.
 * @param every pieces of work
 * @returns to be called after each of them
 */
export function collectEvery(every: number): () => void {
  setFlagsFromString('--no-incremental-marking');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let count = 0;
  return () => {
    count += 1;
    if (count % every === 0) collect();
  };
}
