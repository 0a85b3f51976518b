// `thinlens detect`: what it is told to look for, and where.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { DetectResponse } from '../../openapi/types.ts';
import { thinlens } from './child.ts';
import type { TestServer } from './harness.ts';
import { post, result, sample, startReady } from './harness.ts';

const STREET = 'samples/street.jpg';
let server: TestServer;

before(async () => {
  server = await startReady();
});

after(() => server.stop());

async function detect(...args: string[]): Promise<Omit<DetectResponse, 'timing'>> {
  const { exit, stdout, stderr } = await thinlens(['detect', '--json', ...args, STREET]);
  assert.deepEqual([exit, stderr], [[0, null], '']);
  const { images } = JSON.parse(stdout) as { images: (DetectResponse & { file: string })[] };
  const [{ file: _file, timing: _timing, ...answer } = assert.fail('there is no answer')] = images;
  return answer;
}

async function served(query: Record<string, string | number>): Promise<Omit<DetectResponse, 'timing'>> {
  const { timing: _timing, ...answer } = result(await post(server, await sample('street'), query));
  return answer;
}

async function refusal(...args: string[]): Promise<string> {
  const { exit, stdout, stderr } = await thinlens(['detect', ...args, STREET]);
  assert.deepEqual([exit, stdout], [[1, null], '']);
  return stderr;
}

describe('thinlens detect', () => {
  test('--classes looks for some only, by label or id, as the server does', async () => {
    const found = await detect('--classes', ' 85,clock', '--score-threshold', '0.02');
    assert.deepEqual(found, await served({ classes: 'clock', score_threshold: 0.02 }));
    assert.deepEqual(new Set(found.detections.map(({ label }) => label)), new Set(['clock']));
    assert.match(
      await refusal('--classes', 'clock,unicorn,12'),
      /^thinlens: --classes has 'unicorn', '12', which ssdlite_.* does not know: its classes are person, .*, 56 more\n$/,
    );
  });

  test('--region looks at a part, as the server does', async () => {
    const found = await detect('--region', '400, 50,639.5,260');
    assert.deepEqual(found, await served({ region: '400,50,639.5,260' }));
    assert.deepEqual(
      found.detections.map(({ label }) => label),
      ['clock'],
    );
    assert.notDeepEqual(found.detections, (await served({ classes: 'clock' })).detections);
  });

  test('--region that cannot be is told what can, in the words of the server', async () => {
    for (const region of [
      '1,2,3',
      '1,2,3,4,5',
      '1,2,3,',
      '-1,0,10,10',
      '10,0,10,10',
      '0,10,10,5',
      '0,0,1e999,1',
    ]) {
      const answer = await post(server, await sample('street'), { region });
      const { detail } = answer.body as { detail: string };
      const sentence = /region must be .*/.exec(detail)?.[0].replace(/[;.]$/, '');
      const told = await refusal(`--region=${region}`);
      assert.match(
        told,
        /^thinlens: --region must be 4 numbers of at least 0, .* x_min < x_max and y_min < y_max, got '/,
      );
      if (region !== '1,2,3,') assert.equal(told, `thinlens: --${sentence}\n`);
    }
    assert.match(
      await refusal('--region', '700,0,800,10'),
      /street\.jpg: The region 700,0,800,10 .* has no pixel inside the image, which is 640 wide and 480 high/,
    );
  });
});
