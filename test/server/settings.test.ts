import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { environmentName, readSettings, SETTINGS, SettingError } from '../../server/settings.ts';

describe('settings', () => {
  test('flags come before the environment, the environment before the defaults', () => {
    const settings = readSettings(
      { port: '1234' },
      { THINLENS_PORT: '5678', THINLENS_MAX_BATCH: '3', PATH: '/bin' },
    );
    assert.equal(settings.port, 1234);
    assert.equal(settings.maxBatch, 3);
    assert.equal(settings.host, '127.0.0.1');
  });

  test('every default is one that the setting itself would take', () => {
    for (const [name, setting] of Object.entries(SETTINGS)) {
      const text = String(setting.default);
      if (name === 'models') continue;
      assert.deepEqual(setting.parse(text), setting.default, name);
    }
  });

  for (const [name, text, complaint] of [
    ['THINLENS_PORT', '99999', /THINLENS_PORT is '99999', but must be: whole number, 0 to 65535/],
    ['THINLENS_WORKERS', '0', /THINLENS_WORKERS is '0'.*1 to 256/],
    ['THINLENS_WORKERS', '2.5', /'2\.5'/],
    ['THINLENS_WORKERS', '', /THINLENS_WORKERS is ''/],
    ['THINLENS_MODELS', 'ssdlite_mobilenet_v2_coco,yolo', /THINLENS_MODELS.*of ssdlite_mobilenet_v2_coco/],
    ['THINLENS_LOG_LEVEL', 'loud', /fatal, error, warn, info/],
    ['THINLENS_PROT', '1', /THINLENS_PROT is not a setting of thinlens; known are .*THINLENS_PORT/],
  ] as const) {
    test(`refuses ${name}='${text}' with a sentence`, () => {
      assert.throws(
        () => readSettings({}, { [name]: text }),
        (error) => error instanceof SettingError && complaint.test(error.message),
      );
    });
  }

  test('a flag is named as it was typed', () => {
    assert.throws(() => readSettings({ queueImages: 'x' }, {}), /--queue-images is 'x'/);
    assert.equal(environmentName('queue-images'), 'THINLENS_QUEUE_IMAGES');
  });

  test('what Kubernetes adds for a service of our name is not ours', () => {
    const settings = readSettings(
      {},
      {
        THINLENS_PORT: 'tcp://10.0.0.1:80',
        THINLENS_SERVICE_HOST: '10.0.0.1',
        THINLENS_SERVICE_PORT: '80',
        THINLENS_SERVICE_PORT_HTTP: '80',
        THINLENS_PORT_80_TCP_ADDR: '10.0.0.1',
      },
    );
    assert.equal(settings.port, 8080);
  });
});
