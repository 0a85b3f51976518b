// What int8 of the catalogued models reaches on COCO photos, beside fp32 on the same ones.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { catalog } from '../../../server/zoo/catalog.ts';
import { thinlens } from '../child.ts';

const EVAL = '../shared/eval';
const TRUTH = {
  detection: ['--images', `${EVAL}/images`, '--annotations', `${EVAL}/instances.json`],
  segmentation: ['--images', `${EVAL}/images`, '--masks', `${EVAL}/masks`],
} as const;
/** What int8 may lose. */
const LARGEST_LOSS = { AP: 0.01, mIoU: 0.015 } as const;
/** From one CPU to another. */
const DIFFERENCE = 0.003;

describe('int8 of a catalogued model', () => {
  for (const { name, task, accuracy } of catalog) {
    if (task === 'classification' || accuracy?.int8 === undefined)
      throw new Error(`${name}: its accuracy in int8 is not stated`);
    const { metric, int8, value } = accuracy;
    const reached = async (precision: string): Promise<number> => {
      const args = ['eval', task, '--model', name, '--precision', precision, ...TRUTH[task], '--json'];
      const { exit, stdout, stderr } = await thinlens(args);
      assert.deepEqual(exit, [0, null], stderr);
      const figures = JSON.parse(stdout);
      assert.equal(figures.precision, precision);
      return figures[metric];
    };

    test(`${name} reaches the ${metric} that the catalog states, and loses no more than it may`, async () => {
      const [exact, quantised] = [await reached('fp32'), await reached('int8')];
      console.log(
        `  ${name}: ${metric} ${(100 * exact).toFixed(2)} in fp32, ${(100 * quantised).toFixed(2)} in int8`,
      );
      assert.ok(exact - quantised <= LARGEST_LOSS[metric], `${exact} became ${quantised}`);
      assert.ok(Math.abs(quantised - int8) <= DIFFERENCE, `int8 reaches ${quantised}, stated is ${int8}`);
      assert.ok(Math.abs(exact - value) <= DIFFERENCE, `fp32 reaches ${exact}, stated is ${value}`);
    });
  }
});
