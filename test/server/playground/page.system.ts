// The page in a browser (Debian: apt-get install chromium curl), against a server with its models; screenshots/ keeps what it looked like.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import axe from 'axe-core';
import { decode } from 'fast-png';
import type { Browser, BrowserContext, Locator, Page, Route } from 'playwright-core';
import { chromium } from 'playwright-core';
import sharp from 'sharp';
import type { DetectResponse, ModelList, Problem, SegmentResponse } from '../../../openapi/types.ts';
import { byteProducts } from '../../../server/inference/cpu_features.ts';
import { classColor } from '../../../server/playground/class_colors.ts';
import { scorePercent } from '../../../server/playground/score_percent.ts';
import { overlap } from '../boxes.ts';
import type { TestServer } from '../harness.ts';
import { sample, start, startReady, until } from '../harness.ts';

const DETECTOR = 'ssdlite_mobilenet_v2_coco';
const SEGMENTER = 'deeplabv3_mobilenet_v2_voc';
const SCREENSHOTS = 'screenshots';
/** A photo of many books. */
const MANY = '../shared/eval/images/000000000632.jpg';
/** A photo of more than one of the segmentation model's classes. */
const MOTORBIKE = '../shared/eval/images/000000013177.jpg';
const sh = promisify(execFile);

let server: TestServer;
let browser: Browser;
before(async () => {
  server = await startReady({ models: [DETECTOR, SEGMENTER] });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
});
after(async () => {
  await browser.close();
  await server.stop();
});

interface View {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: 'light' | 'dark';
}

interface Opened {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Paths with queries that were posted to. */
  readonly posts: string[];
  /** What the browser complained about: errors of scripts, and the content policy. */
  readonly complaints: string[];
}

/** Runs `use` with the page open and its models there; nothing may be loaded from elsewhere or break. */
async function open(
  use: (opened: Opened) => Promise<void>,
  view: View = {},
  url = server.url,
  prepare: (page: Page) => Promise<unknown> = async () => {},
): Promise<void> {
  const { width = 1280, height = 900, colorScheme = 'light' } = view;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  try {
    const page = await context.newPage();
    const posts: string[] = [];
    const complaints: string[] = [];
    const strangers: string[] = [];
    page.on('request', (request) => {
      const address = new URL(request.url());
      if (address.protocol.startsWith('http') && address.origin !== url) strangers.push(request.url());
      if (request.method() === 'POST') posts.push(address.pathname + address.search);
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      // A refused photo is an error to the browser's console, though none of the page's.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
        complaints.push(message.text());
      }
    });
    await prepare(page);
    await page.goto(url);
    await page.locator('#model option').nth(1).waitFor({ state: 'attached' });
    await use({ page, context, posts, complaints });
    assert.deepEqual([complaints, strangers], [[], []]);
  } finally {
    await context.close();
  }
}

const pick = (page: Page, name: string) => page.getByRole('button', { name: `Sample ${name}` }).click();
const summaryIs = (page: Page, text: RegExp) => page.locator('#summary').filter({ hasText: text }).waitFor();
const rows = (page: Page) => page.locator('#findings .finding');
const chips = (page: Page) => page.locator('#chips button');
const boxes = (page: Page) => page.locator('#overlay .box');

async function ask<Body>(operation: 'detect' | 'segment', bytes: Buffer, query: string): Promise<Body> {
  const response = await fetch(`${server.url}/v1/${operation}?${query}`, {
    method: 'POST',
    body: new Uint8Array(bytes),
  });
  return (await response.json()) as Body;
}
const detect = (bytes: Buffer, threshold: number) =>
  ask<DetectResponse>('detect', bytes, `model=${DETECTOR}&score_threshold=${threshold}`);

const rectangle = async (locator: Locator) =>
  (await locator.boundingBox()) ?? assert.fail('it is not visible');

/** What a button of this name saves. */
async function download(page: Page, name: string): Promise<{ name: string; bytes: Buffer }> {
  const coming = page.waitForEvent('download');
  await page.getByRole('button', { name, exact: true }).click();
  const file = await coming;
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

/** Rows of pixels, red, green and blue. */
interface Pixels {
  readonly data: Buffer;
  readonly width: number;
  readonly height: number;
}

async function pixels(bytes: Buffer): Promise<Pixels> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** Share of those pixels that `drawn` changed by much, of all or of those that `within` holds for. */
function changed(
  photo: Pixels,
  drawn: Pixels,
  within: (x: number, y: number) => boolean = () => true,
): number {
  let [all, different] = [0, 0];
  for (let at = 0; at < photo.width * photo.height; at++) {
    if (!within(at % photo.width, Math.floor(at / photo.width))) continue;
    all++;
    const offs = [0, 1, 2].map((channel) =>
      Math.abs(photo.data[3 * at + channel]! - drawn.data[3 * at + channel]!),
    );
    if (Math.max(...offs) > 30) different++;
  }
  return different / all;
}

const focused = (page: Page) =>
  page.evaluate(
    `(({ id, title, textContent, className }) => id || title || className.concat(' ', textContent).trim())(document.activeElement)`,
  ) as Promise<string>;

/** The boxes drawn are where the API says, in pixels of the upright photo, on a photo of its proportions. */
async function assertBoxes(page: Page, { detections, image }: DetectResponse): Promise<void> {
  const photo = await rectangle(page.locator('#image'));
  assert.ok(Math.abs(photo.width / photo.height - image.width / image.height) < 0.01);
  assert.equal(await boxes(page).count(), detections.length);
  const scale = photo.width / image.width;
  for (const [at, { box }] of detections.entries()) {
    const drawn = await rectangle(boxes(page).nth(at));
    const pairs = [
      [drawn.x - photo.x, box.x_min],
      [drawn.y - photo.y, box.y_min],
      [drawn.width, box.x_max - box.x_min],
      [drawn.height, box.y_max - box.y_min],
    ] as const;
    for (const [seen, wanted] of pairs)
      assert.ok(Math.abs(seen - wanted * scale) < 1.5, `${seen}, ${wanted}`);
  }
}

describe('detection', () => {
  test('of a sample draws what the API answers, lists it, and says what it cost', () =>
    open(async ({ page }) => {
      await pick(page, 'street.jpg');
      await summaryIs(page, /^2 objects at 30 % or more\.$/);
      const answer = await detect(await sample('street'), 0.3);
      await assertBoxes(page, answer);
      const texts = answer.detections.map(({ label, score }) => [label, scorePercent(score)]);
      assert.deepEqual(
        await page.locator('#overlay .tag').allTextContents(),
        texts.map((pair) => pair.join(' ')),
      );
      for (const [at, [label = '', score = '']] of texts.entries()) {
        const row = await rows(page).nth(at).innerText();
        assert.ok(row.includes(label) && row.includes(score), row);
      }
      await page.locator('#said').filter({ hasText: 'Stop sign, clock.' }).waitFor({ state: 'attached' });
      assert.match(await page.locator('#work').innerText(), /^749\.5 M multiply-adds/);
      assert.deepEqual(await page.locator('#stages dt').allInnerTexts(), [
        'queue',
        'decode',
        'preprocess',
        'inference',
        'postprocess',
        'encode',
        'other',
      ]);
      assert.match(await page.locator('#stages .inference dd').innerText(), /^[\d.]+ ms$/);
      const [whole, inference] = [page.locator('#bar'), page.locator('#bar .inference')].map(rectangle);
      assert.ok((await inference)!.width > 0 && (await inference)!.width < (await whole)!.width);
    }));

  test('puts its boxes and labels where the things are on the screen', () =>
    open(async ({ page }) => {
      await pick(page, 'street.jpg');
      await boxes(page).nth(1).waitFor();
      const photo = await rectangle(page.locator('#image'));
      // As samples/street.svg draws them, 640 pixels wide.
      const drawn = [
        { label: 'stop sign', x: 200, y: 150, radius: 100 },
        { label: 'clock', x: 510, y: 150, radius: 70 },
      ];
      for (const [at, { label, x, y, radius }] of drawn.entries()) {
        const [box, tag] = [boxes(page), page.locator('#overlay .tag')].map((all) => all.nth(at));
        const seen = await rectangle(box!);
        const scale = 640 / photo.width;
        const [left, top] = [(seen.x - photo.x) * scale, (seen.y - photo.y) * scale];
        const found = {
          x_min: left,
          y_min: top,
          x_max: left + seen.width * scale,
          y_max: top + seen.height * scale,
        };
        const thing = { x_min: x - radius, y_min: y - radius, x_max: x + radius, y_max: y + radius };
        assert.ok(overlap(found, thing) > 0.8, `${label}: ${JSON.stringify(found)}`);
        const text = await rectangle(tag!);
        assert.ok((await tag!.innerText()).startsWith(label));
        assert.ok(Math.abs(text.x - seen.x) < 2 && Math.abs(text.y + text.height - seen.y) < 2, label);
      }
    }));

  test('filters by score at once, without a request, as the server would', () =>
    open(async ({ page, posts }) => {
      await pick(page, 'coffee.jpg');
      await boxes(page).first().waitFor();
      const asked = [...posts];
      assert.equal(asked.length, 1);
      const counts = [];
      for (const percent of [5, 6, 12, 30, 60, 95]) {
        await page.locator('#slider').fill(String(percent));
        const { detections } = await detect(await sample('coffee'), percent / 100);
        counts.push(detections.length);
        assert.equal(await boxes(page).count(), detections.length);
        assert.equal(await rows(page).count(), detections.length);
      }
      assert.ok(new Set(counts).size > 3, String(counts));
      assert.deepEqual(posts, asked);
    }));

  test('hides a class and shows it again, and the button keeps the focus', () =>
    open(async ({ page }) => {
      await pick(page, 'street.jpg');
      const chip = page.getByRole('button', { name: 'stop sign', exact: true });
      await chip.click();
      assert.deepEqual(
        await page
          .locator('#overlay .tag')
          .allTextContents()
          .then((tags) => tags.map((tag) => tag.split(' ')[0])),
        ['clock'],
      );
      assert.equal(await chip.getAttribute('aria-pressed'), 'false');
      assert.equal(await page.evaluate('document.activeElement.textContent'), 'stop sign');
      assert.match(await page.locator('#curl').inputValue(), /classes=clock'$/);
      await page.keyboard.press('Space');
      assert.equal(await boxes(page).count(), 2);
    }));

  test('keeps a finding that was clicked standing out while it is among those shown', () =>
    open(async ({ page }) => {
      await pick(page, 'coffee.jpg');
      await rows(page).filter({ hasText: 'dining table' }).click();
      const single = page.locator('#overlay .tag.single');
      const pressed = page.locator('#findings [aria-pressed=true]');
      for (const percent of [5, 12, 40]) {
        await page.locator('#slider').fill(String(percent));
        assert.match(await single.innerText(), /^dining table/, `${percent}`);
        assert.match(await pressed.innerText(), /^dining table/, `${percent}`);
      }
      await page.locator('#slider').fill('80');
      assert.deepEqual([await boxes(page).count(), await single.count(), await pressed.count()], [1, 0, 0]);
      assert.equal(await page.locator('#overlay.singling').count(), 0);
    }));

  test('of very many objects shows them all, and so does its command', () =>
    open(async ({ page }) => {
      await page.locator('#file').setInputFiles(MANY);
      await rows(page).first().waitFor();
      await page.locator('#slider').fill('5');
      const query = `model=${DETECTOR}&score_threshold=0.05&max_detections=1000`;
      const { detections } = await ask<DetectResponse>('detect', readFileSync(MANY), query);
      assert.ok(detections.length > 100 && detections.length < 1000);
      assert.equal(
        await page.locator('#summary').innerText(),
        `${detections.length} objects at 5 % or more.`,
      );
      assert.equal(await boxes(page).count(), detections.length);
      const command = await page.locator('#curl').inputValue();
      const { stdout } = await sh('sh', ['-c', command], { cwd: dirname(MANY), maxBuffer: 2 ** 24 });
      assert.deepEqual((JSON.parse(stdout) as DetectResponse).detections, detections);
    }));

  test('is saved as a picture with the boxes that are shown', () =>
    open(async ({ page }) => {
      await pick(page, 'street.jpg');
      await rows(page).nth(1).waitFor();
      await page.getByRole('button', { name: 'stop sign', exact: true }).click();
      const { name, bytes } = await download(page, 'Picture');
      assert.equal(name, 'street.found.jpg');
      assert.equal((await sharp(bytes).metadata()).format, 'jpeg');
      const [photo, drawn] = [await pixels(await sample('street')), await pixels(bytes)];
      assert.deepEqual([drawn.width, drawn.height], [photo.width, photo.height]);
      const { detections } = await detect(await sample('street'), 0.3);
      /** Of the box of a class, a band along its upper side between its corners. */
      const upperSide = (wanted: string) => {
        const { x_min, y_min, x_max } = detections.find(({ label }) => label === wanted)!.box;
        const middle = (x_min + x_max) / 2;
        return (x: number, y: number) => Math.abs(y - y_min) < 2 && x > middle && x < x_max - 5;
      };
      assert.ok(changed(photo, drawn, upperSide('clock')) > 0.5);
      assert.equal(changed(photo, drawn, upperSide('stop sign')), 0);
      assert.ok(changed(photo, drawn) < 0.1);
    }));

  test('of an own photo draws upright boxes on the upright photo', () =>
    open(async ({ page }) => {
      // The pixels lie on their side, and EXIF says how to put them upright.
      const bytes = await sharp(await sample('street'))
        .rotate(-90)
        .withMetadata({ orientation: 6 })
        .jpeg({ quality: 95 })
        .toBuffer();
      await page.locator('#file').setInputFiles({ name: 'lying.jpg', mimeType: 'image/jpeg', buffer: bytes });
      await summaryIs(page, /^2 objects/);
      const answer = await detect(bytes, 0.3);
      assert.deepEqual(answer.image, { width: 640, height: 480 });
      await assertBoxes(page, answer);
      const size = () =>
        page.evaluate('(({ naturalWidth, naturalHeight }) => [naturalWidth, naturalHeight])(image)');
      await until(async () => String(await size()) === '640,480', 'the browser draws the photo upright');
      assert.equal(await page.locator('#image').getAttribute('alt'), 'lying.jpg');
    }));

  test('takes several photos, and comes back to one without asking again', () =>
    open(async ({ page, posts }) => {
      const files = ['clock', 'stop-sign'].map((name) => `samples/${name}.jpg`);
      await page.locator('#file').setInputFiles(files);
      await page.getByText('1 object at').waitFor();
      assert.deepEqual(
        await page
          .locator('#overlay .tag')
          .allTextContents()
          .then((tags) => tags[0]?.split(' ')[0]),
        'clock',
      );
      await page.getByRole('button', { name: 'stop-sign.jpg', exact: true }).click();
      await page.locator('#findings').getByText('stop sign').waitFor();
      assert.equal(posts.length, 2);
      await page.getByRole('button', { name: 'clock.jpg', exact: true }).click();
      await page.locator('#findings').getByText('clock').waitFor();
      assert.equal(posts.length, 2);
    }));
});

describe('a photo comes in', () => {
  test('by the clipboard', () =>
    open(async ({ page, context }) => {
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      const png = await sharp(await sample('clock'))
        .png()
        .toBuffer();
      await page.evaluate(`navigator.clipboard.write([new ClipboardItem({ 'image/png':
        new Blob([Uint8Array.from(atob('${png.toString('base64')}'), (c) => c.charCodeAt(0))], { type: 'image/png' }) })])`);
      await page.keyboard.press('Control+V');
      await page.locator('#findings').getByText('clock').waitFor();
      assert.match(await page.locator('#curl-note').innerText(), /pasted: save it as image\.png/);
    }));

  test('by drag and drop', () =>
    open(async ({ page }) => {
      const bytes = (await sample('clock')).toString('base64');
      await page.evaluate(`(() => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob('${bytes}'), (c) => c.charCodeAt(0))], 'dropped.jpg'));
        for (const type of ['dragover', 'drop']) {
          document.querySelector('footer').dispatchEvent(
            new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
        }
      })()`);
      await page.locator('#findings').getByText('clock').waitFor();
      assert.equal(await page.locator('#image').getAttribute('alt'), 'dropped.jpg');
      assert.equal(await page.locator('.dropping').count(), 0);
    }));
});

describe('an own photo can be removed', () => {
  const thumbnails = (page: Page) =>
    page
      .locator('#thumbnails img')
      .evaluateAll((images) => images.map((image) => (image as { alt?: string }).alt));
  const isThere = (page: Page, url: string) =>
    page.evaluate(`new Promise((done) => {
      const image = new Image();
      image.onload = () => done(true);
      image.onerror = () => done(false);
      image.src = ${JSON.stringify(url)};
    })`);
  const samples = ['cat', 'coffee', 'street'].map((name) => `Sample ${name}.jpg`);

  test('by a key or its button; its neighbour is shown and has the focus, and after the last one the page is as it was', () =>
    open(async ({ page }) => {
      const files = ['clock', 'stop-sign', 'coffee'].map((name) => `samples/${name}.jpg`);
      await page.locator('#file').setInputFiles(files);
      await page.locator('#findings').getByText('clock').waitFor();
      const address = (await page.locator('#image').getAttribute('src')) ?? '';
      assert.ok(await isThere(page, address));
      await page.getByRole('button', { name: 'clock.jpg', exact: true }).focus();
      await page.keyboard.press('Delete');
      assert.deepEqual(await thumbnails(page), ['stop-sign.jpg', 'coffee.jpg', ...samples]);
      await page.locator('#findings').getByText('stop sign').waitFor();
      assert.equal(await focused(page), 'stop-sign.jpg');
      assert.equal(await isThere(page, address), false);
      // The last of them, which is not shown, by the mouse: what is shown stays.
      await page.getByRole('button', { name: 'Remove coffee.jpg' }).click();
      assert.equal(await page.locator('#image').getAttribute('alt'), 'stop-sign.jpg');
      assert.equal(await focused(page), 'stop-sign.jpg');
      await page
        .locator('#said')
        .filter({ hasText: 'coffee.jpg was removed.' })
        .waitFor({ state: 'attached' });
      await page.keyboard.press('Tab');
      assert.equal(await focused(page), 'Remove stop-sign.jpg');
      await page.keyboard.press('Enter');
      assert.deepEqual(await thumbnails(page), samples);
      assert.equal(await focused(page), 'Sample cat.jpg');
      assert.ok(await page.locator('#invitation').isVisible());
      assert.equal(await page.locator('#photo').isVisible(), false);
      assert.equal(await page.locator('#summary').innerText(), 'No photo yet.');
      assert.equal(await page.locator('#curl').inputValue(), '');
      assert.equal(await page.locator('.downloads button:enabled').count(), 0);
    }));

  test('while it is looked at, and samples stay', () =>
    open(async ({ page }) => {
      let go = () => {};
      const held = new Promise<void>((resolve) => {
        go = resolve;
      });
      await page.route('**/v1/detect*', async (route) => {
        await held;
        await route.continue();
      });
      await page.locator('#file').setInputFiles('samples/clock.jpg');
      await page.locator('#progress').waitFor();
      const answered = page.waitForResponse('**/v1/detect*');
      await page.getByRole('button', { name: 'Remove clock.jpg' }).click();
      assert.equal(await page.locator('#progress').isVisible(), false);
      go();
      await answered;
      assert.equal(await page.locator('#summary').innerText(), 'No photo yet.');
      await page.keyboard.press('Delete');
      assert.deepEqual(await thumbnails(page), samples);
      assert.equal(await page.getByRole('button', { name: /^Remove/ }).count(), 0);
    }));
});

describe('the curl command', () => {
  test('answers what the page shows, for a file with a troublesome name', () =>
    open(async ({ page, context }) => {
      const folder = mkdtempSync(join(tmpdir(), 'thinlens-page-'));
      try {
        const name = `it's a "photo" $(x) .jpg`;
        writeFileSync(join(folder, name), await sample('coffee'));
        await page.locator('#file').setInputFiles(join(folder, name));
        await page.locator('#slider').fill('6');
        await chips(page).filter({ hasText: 'dining table' }).click();
        await context.grantPermissions(['clipboard-read', 'clipboard-write']);
        await page.getByRole('button', { name: 'Copy' }).click();
        const command = (await page.evaluate('navigator.clipboard.readText()')) as string;
        assert.equal(command, await page.locator('#curl').inputValue());
        const { stdout } = await sh('sh', ['-c', command], { cwd: folder });
        const { detections } = JSON.parse(stdout) as DetectResponse;
        assert.ok(detections.length > 2);
        assert.deepEqual(
          await page.locator('#overlay .tag').allTextContents(),
          detections.map(({ label, score }) => `${label} ${scorePercent(score)}`),
        );
      } finally {
        rmSync(folder, { recursive: true });
      }
    }));

  test('of a sample works anywhere', () =>
    open(async ({ page }) => {
      await pick(page, 'cat.jpg');
      const { stdout } = await sh('sh', ['-c', await page.locator('#curl').inputValue()], { cwd: tmpdir() });
      assert.deepEqual(
        (JSON.parse(stdout) as DetectResponse).detections.map(({ label }) => label),
        ['cat'],
      );
    }));
});

describe('errors', () => {
  test("show the server's own sentence, and another photo clears them", () =>
    open(async ({ page }) => {
      const bytes = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from('ftypheic'), Buffer.alloc(40)]);
      await page
        .locator('#file')
        .setInputFiles({ name: 'IMG_1.HEIC', mimeType: 'image/heic', buffer: bytes });
      const alert = page.getByRole('alert');
      await alert.getByText('415 unsupported_image').waitFor();
      const { detail } = await ask<Problem>('detect', bytes, '');
      const shown = await alert.innerText();
      assert.ok(shown.toLowerCase().startsWith(detail.toLowerCase()), `${shown} / ${detail}`);
      assert.ok(await page.getByText('This browser cannot show this file.').isVisible());
      await pick(page, 'cat.jpg');
      await rows(page).first().waitFor();
      assert.equal(await alert.innerText(), '');
      assert.ok(await page.locator('#image').isVisible());
    }));

  test('of a download are not shown over another photo', () =>
    open(async ({ page }) => {
      await pick(page, 'street.jpg');
      await rows(page).first().waitFor();
      let held: Route | undefined;
      await page.route('**/v1/detect*', (route) => {
        if (route.request().headers().accept !== 'image/jpeg') return route.continue();
        held = route;
        return undefined;
      });
      await page.getByRole('button', { name: 'Picture', exact: true }).click();
      await until(() => held !== undefined, 'the picture is asked for');
      await pick(page, 'cat.jpg');
      await rows(page).getByText('cat').waitFor();
      const failed = page.waitForEvent('requestfailed');
      await held?.abort();
      await failed;
      // Nothing tells of an error that is not shown: a turn of the page's own.
      await page.evaluate('new Promise((resolve) => setTimeout(resolve, 100))');
      assert.equal(await page.getByRole('alert').innerText(), '');
    }));

  test('of a server that does not answer can be tried again, and again, without losing the focus', () =>
    open(async ({ page, posts }) => {
      await page.route('**/v1/detect*', (route) => route.abort());
      await pick(page, 'cat.jpg');
      await page.getByRole('alert').getByText('The server did not answer.').waitFor();
      const again = page.getByRole('button', { name: 'Try again' });
      await again.focus();
      await page.keyboard.press('Enter');
      await until(async () => posts.length === 2 && (await again.isVisible()), 'it failed again');
      assert.equal(await focused(page), 'Try again');
      await page.unroute('**/v1/detect*');
      await page.keyboard.press('Enter');
      await rows(page).getByText('cat').waitFor();
      assert.equal(await page.getByRole('alert').innerText(), '');
      assert.equal(await focused(page), 'Sample cat.jpg');
    }));
});

describe('segmentation', () => {
  const segment = async () =>
    ask<SegmentResponse>('segment', await sample('cat'), `model=${SEGMENTER}&format=rle`);
  const choose = async (page: Page) => {
    await page.locator('#model').selectOption(SEGMENTER);
    await pick(page, 'cat.jpg');
    await summaryIs(page, /class/);
  };

  test("lays the answer's masks over the photo, as strongly as the slider says, and a click hides one", () =>
    open(async ({ page, posts }) => {
      await choose(page);
      const [cat = assert.fail('there is no cat')] = (await segment()).segments;
      assert.deepEqual(await chips(page).allInnerTexts(), ['cat']);
      assert.match(await rows(page).first().innerText(), new RegExp(`${Math.round(cat.fraction * 100)} %`));
      /** Share of the photo's pixels that have the colour of the class, as the screen shows them. */
      const covered = async () => {
        const { data, width, height } = await pixels(await page.locator('#photo').screenshot());
        const [red, green, blue] = classColor(cat.class_id);
        let count = 0;
        for (let at = 0; at < data.length; at += 3) {
          const off = [data[at]! - red, data[at + 1]! - green, data[at + 2]! - blue].map(Math.abs);
          if (Math.max(...off) <= 2) count++;
        }
        return count / (width * height);
      };
      // However faint the mask, its outline has the colour itself.
      await page.locator('#slider').fill('10');
      await until(async () => (await covered()) > 0.002, 'the mask has its outline');
      assert.ok((await covered()) < 0.05);
      await page.locator('#slider').fill('100');
      // Browsers read the mask a moment later.
      await until(async () => Math.abs((await covered()) - cat.fraction) < 0.02, 'the mask covers its share');
      const asked = posts.length;
      await page.getByRole('button', { name: 'cat', exact: true }).click();
      assert.ok((await covered()) < 0.01);
      assert.match(await page.locator('#summary').innerText(), /all hidden/);
      assert.equal(posts.length, asked);
    }));

  for (const width of [320, 333, 1277]) {
    test(`draws no outline along the border of the photo, ${width} pixels wide`, () =>
      open(
        async ({ page }) => {
          await choose(page);
          await page.locator('#slider').fill('10');
          const shot = async () => pixels(await page.locator('#photo').screenshot());
          const cat = page.getByRole('button', { name: 'cat', exact: true });
          await cat.click();
          const photo = await shot();
          await cat.click();
          let masked = photo;
          await until(async () => {
            masked = await shot();
            return changed(photo, masked) > 0;
          }, 'the mask has its outline');
          // The cat reaches the photo's lower border all along, and its left one below the middle.
          const { height } = photo;
          assert.equal(
            changed(photo, masked, (_, y) => y >= height - 5),
            0,
          );
          assert.equal(
            changed(photo, masked, (x, y) => x < 5 && y > height / 2),
            0,
          );
        },
        { width, height: 740 },
      ));
  }

  test('with every class hidden has nothing to save or to ask for, and says so', () =>
    open(async ({ page }) => {
      await choose(page);
      const cat = page.getByRole('button', { name: 'cat', exact: true });
      const enabled = page.locator('.downloads button:enabled');
      const copy = page.getByRole('button', { name: 'Copy' });
      assert.deepEqual(await enabled.allInnerTexts(), ['Picture', 'JSON', 'PNG', 'RLE']);
      await cat.click();
      assert.equal(await page.locator('#overlay .mask').count(), 0);
      assert.deepEqual(await enabled.allInnerTexts(), ['JSON']);
      assert.equal(await page.locator('#curl').inputValue(), '');
      assert.match((await page.locator('#curl').getAttribute('placeholder')) ?? '', /^Every class is hidden/);
      assert.ok(await copy.isDisabled());
      await cat.click();
      assert.equal(await enabled.count(), 4);
      assert.match(await page.locator('#curl').inputValue(), /^curl /);
      assert.ok(await copy.isEnabled());
    }));

  test('is saved as a picture with the masks that are shown', () =>
    open(async ({ page }) => {
      await choose(page);
      const { name, bytes } = await download(page, 'Picture');
      assert.equal(name, 'cat.found.jpg');
      const [photo, drawn] = [await pixels(await sample('cat')), await pixels(bytes)];
      assert.deepEqual([drawn.width, drawn.height], [photo.width, photo.height]);
      const { data } = decode(new Uint8Array((await download(page, 'PNG')).bytes));
      const isCat = (x: number, y: number) => data[y * photo.width + x] !== 0;
      assert.ok(changed(photo, drawn, isCat) > 0.9);
      assert.equal(
        changed(photo, drawn, (x, y) => !isCat(x, y)),
        0,
      );
    }));

  test('offers the classes as a palette PNG and as run lengths', () =>
    open(async ({ page }) => {
      await choose(page);
      const answer = await segment();
      const png = await download(page, 'PNG');
      const { width, height, data } = decode(new Uint8Array(png.bytes));
      assert.deepEqual([png.name, { width, height }], ['cat.classes.png', answer.image]);
      for (const { class_id, pixels } of answer.segments) {
        assert.equal(Array.from(data).filter((id) => id === class_id).length, pixels);
      }
      const rle = await download(page, 'RLE');
      const { segments } = JSON.parse(rle.bytes.toString()) as SegmentResponse;
      assert.deepEqual([rle.name, segments], ['cat.rle.json', answer.segments]);
      const whole = await download(page, 'JSON');
      assert.equal(whole.name, 'cat.json');
      assert.ok('png' in (JSON.parse(whole.bytes.toString()) as SegmentResponse).segments[0]!.mask);
    }));
});

describe('segmentation of several classes', () => {
  test('has a legend, and a class that is hidden is neither drawn nor downloaded', () =>
    open(async ({ page, posts }) => {
      await page.locator('#model').selectOption(SEGMENTER);
      await page.locator('#file').setInputFiles(MOTORBIKE);
      await summaryIs(page, /classes on/);
      const query = `model=${SEGMENTER}&format=rle`;
      const { segments } = await ask<SegmentResponse>('segment', readFileSync(MOTORBIKE), query);
      const labels = segments.map(({ label }) => label);
      assert.ok(labels.includes('motorbike') && labels.includes('person'), String(labels));
      assert.deepEqual(await chips(page).allInnerTexts(), labels);
      const masks = page.locator('#overlay .mask');
      assert.equal(await masks.count(), labels.length);
      const asked = posts.length;
      await page.getByRole('button', { name: 'person', exact: true }).click();
      assert.equal(await masks.count(), labels.length - 1);
      assert.equal(posts.length, asked);
      const left = segments.filter(({ label }) => label !== 'person');
      const classes = `&classes=${left.map(({ label }) => label).join(',')}'`;
      assert.ok((await page.locator('#curl').inputValue()).endsWith(classes));
      const { data } = decode(new Uint8Array((await download(page, 'PNG')).bytes));
      for (const { label, class_id, pixels } of segments) {
        const wanted = label === 'person' ? 0 : pixels;
        assert.equal(Array.from(data).filter((id) => id === class_id).length, wanted, label);
      }
      const rle = JSON.parse((await download(page, 'RLE')).bytes.toString()) as SegmentResponse;
      assert.deepEqual(rle.segments, left);
    }));
});

describe('models', () => {
  test('that are loading become ready by themselves; those that cannot run are disabled, with the reason', async () => {
    const early = await start({ models: [DETECTOR] });
    try {
      await open(
        async ({ page }) => {
          await page.locator('#facts').filter({ hasText: 'AP 0.32' }).waitFor();
          const option = page.locator(`option[value=${SEGMENTER}]`);
          assert.ok(await option.isDisabled());
          assert.match((await option.textContent()) ?? '', /DeepLabv3 on MobileNetV2.* – .*told to load/);
          assert.ok(await page.locator(`option[value=${DETECTOR}]`).isEnabled());
          await pick(page, 'cat.jpg');
          await rows(page).first().waitFor();
        },
        {},
        early.url,
      );
    } finally {
      await early.ready;
      await early.stop();
    }
  });

  test('keep their options while they load: a list that is open does not close', () => {
    let loading = true;
    return open(
      async ({ page }) => {
        const option = page.locator(`option[value=${DETECTOR}]`);
        assert.match((await option.textContent()) ?? '', /– loading$/);
        await page.evaluate(`window.first = document.querySelector('option[value=${DETECTOR}]')`);
        for (const _ of [1, 2]) await page.waitForResponse('**/v1/models');
        loading = false;
        await page.locator('#facts').filter({ hasText: 'AP' }).waitFor();
        assert.equal(await page.evaluate('first === model.selectedOptions[0] && !first.disabled'), true);
        assert.doesNotMatch((await option.textContent()) ?? '', /loading/);
      },
      {},
      server.url,
      (page) =>
        page.route('**/v1/models', async (route) => {
          const response = await route.fetch();
          const { models } = (await response.json()) as ModelList;
          const state = 'loading' as const;
          await route.fulfill({
            response,
            json: { models: loading ? models.map((model) => ({ ...model, state })) : models },
          });
        }),
    );
  });
});

describe('the precision', () => {
  test("is the model's default one, and where there is another it can be picked", async () => {
    const free = await startReady({ models: [DETECTOR, SEGMENTER], precision: 'auto' });
    const both = byteProducts() !== undefined;
    try {
      await open(
        async ({ page, posts }) => {
          const options = page.locator('#precision option');
          await page.locator('#facts').filter({ hasText: 'AP' }).waitFor();
          assert.deepEqual(await options.allTextContents(), both ? ['int8', 'fp32'] : ['fp32']);
          assert.equal(await page.locator('#precision').isEnabled(), both);
          assert.equal(await page.locator('#fallback').isVisible(), !both);
          await pick(page, 'cat.jpg');
          await rows(page).getByText('cat').waitFor();
          assert.doesNotMatch(posts[0] ?? '', /precision/);
          const work = page.locator('#work');
          assert.match(await work.innerText(), both ? / in int8 / : / in fp32 /);
          if (!both) return;
          const facts = await page.locator('#facts').innerText();
          await page.locator('#precision').selectOption('fp32');
          await work.filter({ hasText: ' in fp32 ' }).waitFor();
          assert.match(posts[1] ?? '', /&precision=fp32&/);
          assert.match(await page.locator('#curl').inputValue(), /&precision=fp32&/);
          assert.notEqual(await page.locator('#facts').innerText(), facts);
          // It stays picked with another model that has it.
          await page.locator('#model').selectOption(SEGMENTER);
          await summaryIs(page, /1 class/);
          assert.match(posts[2] ?? '', /^\/v1\/segment\?.*&precision=fp32$/);
          assert.equal(await page.locator('#precision').inputValue(), 'fp32');
        },
        {},
        free.url,
      );
    } finally {
      await free.stop();
    }
  });

  test('leaves hidden classes hidden, which another model does not', () =>
    open(
      async ({ page, posts }) => {
        await pick(page, 'cat.jpg');
        await chips(page).filter({ hasText: 'cat' }).click();
        await page.locator('#precision').selectOption('int8');
        await until(async () => posts.length === 2 && (await chips(page).count()) === 1, 'int8 has answered');
        assert.equal(await chips(page).getAttribute('aria-pressed'), 'false');
        assert.equal(await page.locator('#summary').innerText(), '1 object at 30 % or more, all hidden.');
        assert.equal(await boxes(page).count(), 0);
        await page.locator('#model').selectOption(SEGMENTER);
        await summaryIs(page, /1 class/);
        assert.equal(await chips(page).getAttribute('aria-pressed'), 'true');
      },
      {},
      server.url,
      async (page) => {
        // As if there were another precision, which some CPUs have no use for.
        await page.route('**/v1/models', async (route) => {
          const response = await route.fetch();
          const { models } = (await response.json()) as ModelList;
          const precisions = ['fp32', 'int8'] as const;
          await route.fulfill({
            response,
            json: { models: models.map((model) => ({ ...model, precisions })) },
          });
        });
        await page.route(/\/v1\/(detect|segment)\?/, (route) =>
          route.continue({ url: route.request().url().replace('&precision=int8', '') }),
        );
      },
    ));

  test('that is not what the server was made for says why', () => {
    const detail = 'int8 would be slower on this CPU: it lacks the instructions for products of bytes';
    const fallBack = (page: Page) =>
      page.route('**/v1/models', async (route) => {
        const response = await route.fetch();
        const { models } = (await response.json()) as ModelList;
        const precision_fallback = { reason: 'cpu', detail } as const;
        await route.fulfill({
          response,
          json: { models: models.map((model) => ({ ...model, precision_fallback })) },
        });
      });
    return open(
      async ({ page }) => {
        assert.equal(await page.locator('#fallback').innerText(), `Runs in fp32: ${detail}.`);
        assert.equal(await page.locator('#precision').getAttribute('aria-describedby'), 'fallback');
      },
      {},
      server.url,
      fallBack,
    );
  });
});

describe('the keyboard alone', () => {
  test('reaches everything in the order of the page, and does what the mouse does', () =>
    open(async ({ page }) => {
      const tabTo = async (wanted: RegExp) => {
        for (let presses = 0; presses < 30; presses++) {
          await page.keyboard.press('Tab');
          if (wanted.test(await focused(page))) return;
        }
        assert.fail(`30 tabs did not lead to ${wanted}`);
      };
      await tabTo(/^choose$/);
      await tabTo(/^add$/);
      await tabTo(/^Sample street\.jpg$/);
      await page.keyboard.press('Enter');
      await rows(page).first().waitFor();
      assert.equal(await focused(page), 'Sample street.jpg');
      await tabTo(/^model$/);
      await tabTo(/^slider$/);
      const before = await page.locator('#slider').inputValue();
      await page.keyboard.press('ArrowRight');
      assert.equal(await page.locator('#slider').inputValue(), String(Number(before) + 1));
      await tabTo(/^chip stop sign$/);
      await page.keyboard.press('Space');
      assert.equal(await boxes(page).count(), 1);
      await page.keyboard.press('Space');
      await tabTo(/^finding clock/);
      assert.equal(await page.locator('#overlay .tag.single').innerText(), 'clock 89 %');
      await tabTo(/^copy$/);
      await tabTo(/^curl$/);
      await tabTo(/^download-json$/);
      // After the dialogue of the button that goes away with the first photo, the focus is not lost.
      await page.reload();
      // Waited for early: the browser takes a moment to hand its dialogues over.
      const dialogue = page.waitForEvent('filechooser');
      await tabTo(/^choose$/);
      await page.keyboard.press('Enter');
      await (await dialogue).setFiles('samples/clock.jpg');
      await rows(page).first().waitFor();
      assert.equal(await focused(page), 'add');
    }));
});

describe('at every width and in both colour schemes', () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  for (const width of [1280, 800, 360, 320, 280]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      // The colours are the same at every width.
      if (colorScheme === 'dark' && width !== 1280 && width !== 360) continue;
      test(`${width} pixels, ${colorScheme}: accessible, nothing cut off, nothing moves`, () =>
        open(
          async ({ page }) => {
            const places = () =>
              Promise.all(
                [
                  '#stage',
                  '.strip',
                  '#precision',
                  '#slider',
                  '#chips',
                  '#results',
                  '.downloads',
                  'footer',
                  '#bar',
                  '#stages',
                  '#curl',
                ].map(async (part) => [part, await rectangle(page.locator(part))] as const),
              );
            const empty = await places();
            const check = async (state: string) => {
              await page.screenshot({
                path: join(SCREENSHOTS, `page-${width}-${colorScheme}-${state}.png`),
                fullPage: true,
              });
              await page.evaluate(axe.source);
              const { violations } = (await page.evaluate('axe.run()')) as axe.AxeResults;
              assert.deepEqual(
                violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
                [],
                state,
              );
              assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width, state);
              await page.evaluate('scrollTo(0, 0)');
              assert.deepEqual(await places(), empty, state);
            };
            await check('empty');
            await pick(page, 'coffee.jpg');
            await summaryIs(page, /2 objects/);
            await check('detection');
            await page.locator('#slider').fill('5');
            await check('many');
            await page.locator('#model').selectOption(SEGMENTER);
            await pick(page, 'cat.jpg');
            await summaryIs(page, /1 class/);
            await check('segmentation');
            await page.locator('#file').setInputFiles(MOTORBIKE);
            await summaryIs(page, /classes on/);
            await check('classes');
            await page
              .locator('#file')
              .setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no photo') });
            await page.getByRole('alert').getByText('415').waitFor();
            await check('error');
          },
          { width, height: width > 500 ? 900 : 740, colorScheme },
        ));
    }
  }
});
