import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { decodeImage } from '../../../server/image/decode.ts';

const pictures = readdirSync('samples').filter((file) => file.endsWith('.jpg'));

describe('samples', () => {
  it('are pictures that decode, of the size that their README states, and small', async () => {
    const readme = readFileSync('samples/README.md', 'utf8');
    assert.ok(pictures.includes('street.jpg'));
    for (const file of pictures) {
      const bytes = readFileSync(`samples/${file}`);
      assert.ok(bytes.length <= 60_000, `${file} has ${bytes.length} bytes`);
      const { image } = await decodeImage(bytes, { width: 30, height: 30, maxPixels: 1_000_000 });
      assert.ok(readme.includes(`| \`${file}\` (${image.width} x ${image.height}) `), file);
    }
  });

  it('holds a rendering of every drawing, and no drawing needs a font or another file', () => {
    for (const file of readdirSync('samples').filter((name) => name.endsWith('.svg'))) {
      assert.ok(pictures.includes(file.replace(/svg$/, 'jpg')), file);
      assert.doesNotMatch(readFileSync(`samples/${file}`, 'utf8'), /<text|font|<image|href="(?!#)/);
    }
  });
});
