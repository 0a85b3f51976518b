// The API reference in a browser (Debian: apt-get install chromium), under the policy that it is served with.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { chromium } from 'playwright-core';
import { allOperations } from '../../../server/http/document.ts';
import type { TestServer } from '../harness.ts';
import { startReady } from '../harness.ts';

let server: TestServer;
let browser: Browser;
before(async () => {
  server = await startReady({ models: ['ssdlite_mobilenet_v2_coco'] });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
});
after(async () => {
  await browser.close();
  await server.stop();
});

/** Opens the reference; nothing may be loaded from elsewhere or break, the content policy included. */
async function open(use: (page: Page) => Promise<void>, url = server.url): Promise<void> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  const strangers: string[] = [];
  page.on('request', (request) => {
    const address = new URL(request.url());
    if (address.protocol.startsWith('http') && address.origin !== new URL(url).origin)
      strangers.push(request.url());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  try {
    await page.goto(`${url}/docs`);
    await page.locator('.opblock').first().waitFor();
    await use(page);
    assert.deepEqual([complaints, strangers], [[], []]);
  } finally {
    await page.close();
  }
}

const block = (page: Page, tag: string, id: string) => page.locator(`#operations-${tag}-${id}`);

describe('the API reference', () => {
  test('lists every operation of the document, and opens each', async () => {
    await open(async (page) => {
      const shown = await page.locator('.opblock').evaluateAll((blocks) =>
        blocks.map((element) => {
          const text = (part: string) => element.querySelector(`.opblock-summary-${part}`)?.textContent;
          return `${text('method')} ${text('path')?.replaceAll('\u200b', '')}`;
        }),
      );
      const wanted = allOperations().map(({ method, path }) => `${method} ${path}`);
      assert.deepEqual(shown.sort(), wanted.sort());
      for (const summary of await page.locator('.opblock-summary-control').all()) await summary.click();
      await page
        .locator('.opblock-body .responses-wrapper')
        .nth(shown.length - 1)
        .waitFor();
    });
  });

  test('sends its requests where it came from, a path of a proxy included', async () => {
    const proxy = createServer((incoming, outgoing) => {
      const { method, headers, url = '' } = incoming;
      if (!url.startsWith('/thin/')) {
        outgoing.writeHead(404).end();
        return;
      }
      const passed = request(server.url + url.slice('/thin'.length), { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(outgoing);
      });
      incoming.pipe(passed);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    try {
      await open(
        async (page) => {
          const probe = block(page, 'operation', 'livez');
          await probe.locator('.opblock-summary-control').click();
          await probe.getByRole('button', { name: 'Try it out' }).click();
          await probe.getByRole('button', { name: 'Execute' }).click();
          const answer = probe.locator('.live-responses-table .response-col_status');
          await answer.filter({ hasText: '200' }).first().waitFor();
        },
        `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/thin`,
      );
    } finally {
      proxy.close();
      proxy.closeAllConnections();
    }
  });

  test('is worked with the keyboard', async () => {
    await open(async (page) => {
      const focused = () =>
        page.evaluate(
          'document.activeElement.matches("#operations-inference-detect .opblock-summary-control")',
        );
      for (let presses = 0; !(await focused()); presses++) {
        assert.ok(presses < 30, 'Tab never reaches the first operation');
        await page.keyboard.press('Tab');
      }
      await page.keyboard.press('Enter');
      await block(page, 'inference', 'detect').locator('.opblock-body').waitFor();
      await page.keyboard.press('Enter');
      await block(page, 'inference', 'detect').locator('.opblock-body').waitFor({ state: 'detached' });
    });
  });

  test('sends a photo, and nothing but what the form says', async () => {
    await open(async (page) => {
      const detect = block(page, 'inference', 'detect');
      await detect.locator('.opblock-summary-control').click();
      await detect.getByRole('button', { name: 'Try it out' }).click();
      await detect.locator('input[type=file]').setInputFiles('samples/street.jpg');
      const sent = page.waitForRequest((request) => request.method() === 'POST');
      await detect.getByRole('button', { name: 'Execute' }).click();
      const { searchParams } = new URL((await sent).url());
      assert.deepEqual(
        ['classes', 'region', 'model'].filter((name) => searchParams.has(name)),
        [],
      );
      const answer = detect.locator('.live-responses-table .response-col_description');
      await answer.filter({ hasText: 'stop sign' }).first().waitFor();
    });
  });
});
