// Renders samples/*.svg, which are drawn for this project, to JPEG. The drawings use no fonts, so that every
// machine renders them alike.
//   node scripts/render-samples.js
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

const samples = fileURLToPath(new URL('../samples', import.meta.url));
for (const file of readdirSync(samples).sort()) {
  if (!file.endsWith('.svg')) continue;
  const picture = file.replace(/svg$/, 'jpg');
  const { width, height, size } = await sharp(join(samples, file))
    .flatten({ background: 'white' })
    .jpeg({ quality: 88 })
    .toFile(join(samples, picture));
  console.log(`${picture}: ${width} x ${height}, ${size} bytes`);
}
