import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadFault, serveCommand } from '../../server/commands/serve.ts';
import { isServiceLink } from '../../server/environment.ts';
import { usableCpus } from '../../server/inference/cpus.ts';
import type { Settings } from '../../server/settings.ts';
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
    ['THINLENS_PROFILE', 'fast', /THINLENS_PROFILE is 'fast', but must be: throughput or latency/],
    ['THINLENS_LOG_LEVEL', 'loud', /fatal, error, warn, info/],
    ['THINLENS_PROT', '1', /THINLENS_PROT is not a setting of thinlens: did you mean THINLENS_PORT\?$/],
    ['THINLENS_WORKRS', '1', /THINLENS_WORKRS is not .*: did you mean THINLENS_WORKERS\?$/],
    ['THINLENS_workers', '1', /THINLENS_workers is not .*: did you mean THINLENS_WORKERS\?$/],
    ['THINLENS_HOSE', '1', /: did you mean THINLENS_HOST or THINLENS_HOME\?$/],
    ['THINLENS_MAX_IMAGE_PIXEL', '1', /: did you mean THINLENS_MAX_IMAGE_PIXELS\?$/],
    ['THINLENS_COLOR', 'red', /THINLENS_COLOR is not a setting of thinlens; known are .*THINLENS_PORT, /],
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

  for (const service of ['THINLENS', 'THINLENS_CANARY', 'THINLENS_2_BLUE']) {
    /** What Kubernetes sets for a service with the port 80, called http. */
    const links = {
      [`${service}_SERVICE_HOST`]: '10.0.0.1',
      [`${service}_SERVICE_PORT`]: '80',
      [`${service}_SERVICE_PORT_HTTP`]: '80',
      [`${service}_SERVICE_PORT_HTTP_METRICS`]: '9090',
      [`${service}_PORT`]: 'tcp://10.0.0.1:80',
      [`${service}_PORT_80_TCP`]: 'tcp://10.0.0.1:80',
      [`${service}_PORT_80_TCP_PROTO`]: 'tcp',
      [`${service}_PORT_80_TCP_PORT`]: '80',
      [`${service}_PORT_80_TCP_ADDR`]: '10.0.0.1',
      [`${service}_PORT_53_UDP_ADDR`]: '10.0.0.1',
    };

    test(`what Kubernetes adds for the service ${service} is not ours`, () => {
      assert.deepEqual(readSettings({}, links), readSettings({}, {}));
    });
  }

  for (const [name, text] of [
    ['THINLENS_CANARY_PORT', '8080'],
    ['THINLENS_CANARY_SERVICE', '10.0.0.1'],
    ['THINLENS_SERVICE_HOSTS', '10.0.0.1'],
    ['THINLENS_CANARY_PORT_80', '80'],
    ['THINLENS_PORT_80_HTTP', '80'],
    ['THINLENS_PORT_80_TCP_NAME', 'web'],
    ['THINLENS_CANARY_NAME', 'web'],
  ] as const) {
    test(`${name}=${text} is none of that`, () => {
      assert.throws(() => readSettings({}, { [name]: text }), /is not a setting of thinlens/);
    });
  }

  test('no setting has a name that Kubernetes would use', () => {
    for (const { flag } of Object.values(SETTINGS))
      assert.equal(isServiceLink(environmentName(flag), '8080'), false, flag);
  });
});

describe('the largest photo and the largest request', () => {
  test('that contradict each other are refused with both, as they were set', () => {
    for (const [flags, environment, wanted] of [
      [
        { maxImageBytes: '100000000', maxRequestBytes: '2000' },
        {},
        /^--max-image-bytes 100000000 is more than --max-request-bytes 2000, /,
      ],
      [
        { maxImageBytes: '3000' },
        { THINLENS_MAX_REQUEST_BYTES: '2000' },
        /^--max-image-bytes 3000 is more than THINLENS_MAX_REQUEST_BYTES 2000, /,
      ],
      [
        {},
        { THINLENS_MAX_IMAGE_BYTES: '100000000' },
        /^THINLENS_MAX_IMAGE_BYTES 100000000 is more than the default of --max-request-bytes \(THINLENS_MAX_REQUEST_BYTES\), 67108864, /,
      ],
    ] as const) {
      assert.throws(
        () => readSettings(flags, environment),
        (error) => error instanceof SettingError && wanted.test(error.message),
      );
    }
  });

  test('may be the same, and a small request alone makes photos small', () => {
    const same = readSettings({ maxImageBytes: '2000', maxRequestBytes: '2000' }, {});
    assert.deepEqual([same.maxImageBytes, same.maxRequestBytes], [2000, 2000]);
    assert.equal(readSettings({ maxRequestBytes: '2000' }, {}).maxRequestBytes, 2000);
  });
});

describe('workers and threads', () => {
  const crew = (flags: Record<string, string>, cpus: number, environment: Record<string, string> = {}) => {
    const { workers, threads } = readSettings(flags, environment, cpus);
    return `${workers} x ${threads}`;
  };

  for (const [cpus, throughput, latency] of [
    [1, '1 x 1', '1 x 1'],
    [2, '2 x 1', '1 x 2'],
    [3, '3 x 1', '1 x 3'],
    [4, '4 x 1', '1 x 4'],
    [5, '5 x 1', '1 x 4'],
    [6, '6 x 1', '2 x 3'],
    [8, '8 x 1', '2 x 4'],
    [16, '16 x 1', '4 x 4'],
    [64, '64 x 1', '16 x 4'],
  ] as const) {
    test(`follow the profile on ${cpus} CPUs`, () => {
      assert.equal(crew({}, cpus), throughput);
      assert.equal(crew({ profile: 'throughput' }, cpus), throughput);
      assert.equal(crew({}, cpus, { THINLENS_PROFILE: 'latency' }), latency);
    });
  }

  for (const [flags, expected] of [
    [{ workers: '3' }, '3 x 1'],
    [{ threads: '3' }, '2 x 3'],
    [{ workers: '2', threads: '3' }, '2 x 3'],
    [{ profile: 'latency', workers: '1' }, '1 x 4'],
    [{ profile: 'latency', workers: '3' }, '3 x 2'],
    [{ profile: 'latency', workers: '8' }, '8 x 1'],
    [{ profile: 'latency', threads: '2' }, '4 x 2'],
    [{ profile: 'latency', threads: '8' }, '1 x 8'],
    [{ profile: 'latency', workers: '1', threads: '1' }, '1 x 1'],
  ] as const) {
    test(`where ${JSON.stringify(flags)} is given, what is not follows from 8 CPUs`, () => {
      assert.equal(crew(flags, 8), expected);
    });
  }

  for (const [flags, cpus, complaint] of [
    [
      { workers: '3', threads: '2' },
      4,
      '--workers 3 and --threads 2 make 6 threads, but this process may use 4 CPUs: right would be 2 workers of 2 threads or 3 workers of 1 thread',
    ],
    [
      { workers: '3' },
      2,
      '--workers 3 and 1 thread by the throughput profile make 3 threads, but this process may use 2 CPUs: right would be 2 workers of 1 thread',
    ],
    [
      { profile: 'latency', threads: '3' },
      1,
      '1 worker by the latency profile and --threads 3 make 3 threads, but this process may use 1 CPU: right would be 1 worker of 1 thread',
    ],
  ] as const) {
    test(`${JSON.stringify(flags)} is refused on ${cpus} CPUs, with what would be right`, () => {
      assert.throws(
        () => readSettings(flags, {}, cpus),
        (error) => error instanceof SettingError && error.message === complaint,
      );
    });
  }

  test('are named as they were set', () => {
    assert.throws(
      () => readSettings({ threads: '2' }, { THINLENS_WORKERS: '2' }, 3),
      /^SettingError: THINLENS_WORKERS 2 and --threads 2 make 4 threads/,
    );
  });

  test('are never more than the CPUs that this process may use', () => {
    for (const profile of ['throughput', 'latency']) {
      const { workers, threads } = readSettings({ profile }, {});
      assert.ok(workers * threads <= usableCpus());
    }
    assert.throws(() => readSettings({ workers: String(usableCpus() + 1) }, {}), SettingError);
  });
});

describe('a wrong value of any setting stops the start with a sentence that names it', () => {
  const outside = (low: number, high: number) => [
    String(low - 1),
    String(high + 1),
    '',
    ' ',
    `${low}.5`,
    '-1',
    '0x10',
    'many',
  ];
  const MEBI = 2 ** 20;
  const WRONG: Readonly<Record<keyof Settings, readonly string[]>> = {
    host: ['', 'a b', 'http://0.0.0.0', '127.0.0.1:80', '[::1]', '1.2.3', '256.1.1.1', 'a..b', '-a', '*'],
    port: [...outside(0, 65_535), 'http'],
    home: ['', 'package.json', 'package.json/models'],
    models: ['', ',', 'yolo', 'ssdlite_mobilenet_v2_coco,', 'ssdlite_mobilenet_v2_coco,yolo', '../x', 'A'],
    profile: ['', 'fast', 'Throughput', 'latency '],
    workers: outside(1, 256),
    threads: outside(1, 256),
    precision: ['', 'fp16', 'INT8'],
    executionProvider: ['', 'gpu', 'CPU'],
    maxImageBytes: outside(1024, 1024 * MEBI),
    maxImagePixels: outside(1, 268_402_689),
    maxBatch: outside(1, 1024),
    maxRequestBytes: [...outside(1024, 2047 * MEBI), '64MiB'],
    bodyBytes: outside(1024, 65_536 * MEBI),
    queueImages: outside(1, 100_000),
    queueBytes: outside(1024, 65_536 * MEBI),
    queuePixels: outside(1, 1e12),
    requestTimeoutMs: [...outside(100, 3_600_000), '30s'],
    workerTimeoutMs: outside(100, 3_600_000),
    drainDelayMs: outside(0, 600_000),
    shutdownTimeoutMs: outside(0, 600_000),
    logLevel: ['', 'loud', 'INFO', 'warning'],
  };

  test('every setting is here', () => {
    assert.deepEqual(Object.keys(WRONG), Object.keys(SETTINGS));
  });

  for (const [name, texts] of Object.entries(WRONG)) {
    const { flag } = SETTINGS[name as keyof Settings];
    test(name, () => {
      for (const text of texts) {
        for (const [source, flags, environment] of [
          [`--${flag}`, { [name]: text }, {}],
          [environmentName(flag), {}, { [environmentName(flag)]: text }],
        ] as const) {
          assert.throws(
            () => readSettings(flags, environment, 4),
            ({ name: kind, message }: Error) =>
              kind === 'SettingError' &&
              message.startsWith(`${source} `) &&
              message.includes('must be') &&
              (name === 'models' || message.includes(`'${text}'`)),
            `${source} '${text}'`,
          );
        }
      }
    });
  }

  test('and what lies at the ends of its range does not', () => {
    const ends = { port: '65535', maxBatch: '1024', queuePixels: '1000000000000', drainDelayMs: '0' };
    const { port, maxBatch, queuePixels, drainDelayMs } = readSettings(ends, {}, 4);
    assert.deepEqual([port, maxBatch, queuePixels, drainDelayMs], [65_535, 1024, 1e12, 0]);
    for (const host of [
      '::',
      '0.0.0.0',
      'localhost',
      'my-host.example.org',
      'web_1',
      'fe80::1%eth0',
      '4u.de',
    ])
      assert.equal(readSettings({ host }, {}, 4).host, host);
  });

  test('serve hands each flag to the setting of its name', () => {
    assert.deepEqual(
      serveCommand().options.map((option) => [option.attributeName(), option.long]),
      Object.entries(SETTINGS).map(([name, { flag }]) => [name, `--${flag}`]),
    );
  });

  test('as does a folder that only turns out not to be writable', () => {
    const cannot = new Error(
      "model x cannot be loaded: EACCES: permission denied, mkdir '/srv/models/compiled'",
    );
    assert.equal(
      loadFault(cannot, { home: '/srv/models' }),
      `${cannot.message}; --home (THINLENS_HOME) must be a folder that can be written`,
    );
    for (const message of [
      cannot.message.replace('/srv', '/other'),
      'the weights of x in /srv/models are gone',
    ])
      assert.equal(loadFault(new Error(message), { home: '/srv/models' }), message);
  });
});
