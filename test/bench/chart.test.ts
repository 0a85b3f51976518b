import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { chart } from '../../bench/chart.ts';
import { resultOf, series } from './made_up.ts';

const result = resultOf([
  series('thinlens', 'int8', [{ rate: 100, cpu: 0.02, latencyMs: 20, livezMs: 1 }]),
  series('floor', 'int8', [{ rate: 125, cpu: 0.018, latencyMs: 16 }]),
  series('tfjs', 'fp32', [{ rate: 10, cpu: 0.1, latencyMs: 160, livezMs: 300 }]),
  series('thinlens', 'int8', [{ rate: 50, cpu: 0.04, latencyMs: 40, livezMs: 1 }], 'segmentation'),
]);
const svg = chart(result);

/** Widths of the bars in the order that they are drawn. */
const widths = [...svg.matchAll(/<rect class="(thinlens|floor|tfjs|tutorial)"[^>]* width="([\d.]+)"/g)].map(
  ([, , width]) => Number(width),
);

test('bars are as long as their figures are large, in each column', () => {
  assert.equal(widths.length, 8);
  const [longest, slowest] = [widths[1] as number, widths[6] as number];
  [100, 125, 10, 50].forEach((rate, at) => {
    assert.ok(Math.abs((widths[at] as number) - (longest * rate) / 125) <= 0.06, `rate ${rate}`);
  });
  [20, 16, 160, 40].forEach((latency, at) => {
    assert.ok(Math.abs((widths[at + 4] as number) - (slowest * latency) / 160) <= 0.06, `latency ${latency}`);
  });
});

test('an XML parser takes it, and it fits its frame', async () => {
  // librsvg refuses what is not well-formed.
  const { width, height } = await sharp(Buffer.from(svg)).metadata();
  await assert.rejects(sharp(Buffer.from(svg.replace('</desc>', ''))).metadata());
  assert.match(svg, new RegExp(`viewBox="0 0 ${width} ${height}"`));
  const right = [...svg.matchAll(/<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"/g)].map(
    ([, x, length]) => Number(x) + Number(length),
  );
  assert.ok(Math.max(...right) <= (width ?? 0));
});

test('it has a title, axis labels, and a text alternative with every figure', () => {
  assert.match(svg, /role="img" aria-labelledby="title description"/);
  const description = /<desc id="description">(.*)<\/desc>/.exec(svg)?.[1] ?? '';
  for (const figure of [
    'detection, thinlens int8 100;',
    'detection, floor int8 125;',
    'detection, TF.js coco-ssd fp32 10;',
    'segmentation, thinlens int8 50.',
    'detection, TF.js coco-ssd fp32 160;',
    'segmentation, thinlens int8 40.',
  ])
    assert.ok(description.includes(figure), figure);
  for (const axis of ['photos per second (more is better)', 'milliseconds (less is better)'])
    assert.ok(svg.includes(`>${axis}</text>`), axis);
  assert.ok(svg.includes('Made &#60;up&#62; &#38; &#34;quoted&#34;'));
});
