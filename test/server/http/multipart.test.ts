// Forms of real photos' sizes, as real clients cut them: in the pieces that a socket is read in, or in one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImageForm } from '../../../server/http/multipart.ts';
import { digest, type Receipt, serveImages } from './serve.ts';

const LIMITS = {
  maxImageBytes: 2 ** 20,
  maxRequestBytes: 2 ** 22,
  maxBatch: 4,
  timeoutMs: 5000,
  options: [],
};
const KIB = 1024;
const bytes = (length: number) => Buffer.alloc(length, 'photo');

function written(...photos: Buffer[]): Buffer {
  const disposition = 'Content-Disposition: form-data; name="image"; filename="x"\r\n\r\n';
  const parts = photos.flatMap((photo) => ['--limit\r\n', disposition, photo, '\r\n']);
  return Buffer.concat([...parts, '--limit--\r\n'].map((part) => Buffer.from(part)));
}

for (const length of [1, 15 * KIB, 16 * KIB - 1, 16 * KIB, 28 * KIB, 63 * KIB, 64 * KIB, 300 * KIB]) {
  for (const count of [1, 2, 4]) {
    test(`${count} photos of ${length} bytes arrive over HTTP`, async (t) => {
      const { url } = await serveImages(t, LIMITS);
      const photos = Array.from({ length: count }, (_, index) => bytes(length + index));
      const body = written(...photos);
      const headers = { 'Content-Type': 'multipart/form-data; boundary=limit' };
      const response = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) });
      assert.deepEqual((await response.json()) as Receipt, { batch: count > 1, images: photos.map(digest) });
    });

    test(`${count} photos of ${length} bytes are taken in one piece and in two`, async () => {
      const photos = Array.from({ length: count }, (_, index) => bytes(length + index));
      const body = written(...photos);
      for (const cut of [0, 40, body.length >> 1, body.length - 5]) {
        const form = new ImageForm('limit', LIMITS);
        if (cut > 0) await form.write(body.subarray(0, cut));
        await form.write(body.subarray(cut));
        assert.deepEqual((await form.end()).map(digest), photos.map(digest));
      }
    });
  }
}
