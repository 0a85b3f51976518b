// `thinlens cost`: what it prints, and what it refuses.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { backbones } from '../../models/backbones/registry.ts';
import { toCsv } from '../../server/commands/csv.ts';
import { thinlens } from './child.ts';

/** Standard output of `thinlens cost`, which must end well and say nothing else. */
async function cost(...args: string[]): Promise<string> {
  const { exit, stdout, stderr } = await thinlens(['cost', ...args]);
  assert.deepEqual([exit, stderr], [[0, null], '']);
  return stdout;
}

const json = async (...args: string[]) => JSON.parse(await cost(...args, '--json'));

/** Rows of CSV without quoted cells, by the names of its first line. */
function rows(csv: string): Record<string, string>[] {
  assert.match(csv, /\r\n$/);
  const [head = '', ...lines] = csv.trimEnd().split('\r\n');
  const names = head.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    assert.equal(cells.length, names.length, line);
    return Object.fromEntries(names.map((name, column) => [name, cells[column] ?? '']));
  });
}

describe('thinlens cost BACKBONE', () => {
  test('--json is one object with the published figures', async () => {
    const { network, layers, ...backbone } = await json('mobilenet_v2');
    assert.deepEqual(
      [backbone.name, backbone.paper, backbone.carries_heads],
      ['mobilenet_v2', 'https://arxiv.org/abs/1801.04381', true],
    );
    assert.deepEqual(
      [network.madds, network.parameters, network.parameters_folded, network.output_stride],
      [300_774_272, 3_504_872, 3_487_816, 32],
    );
    assert.equal(layers, undefined);
  });

  test('--layers adds layers that sum up to the whole', async () => {
    const { network, layers } = await json('shufflenet_v2', '--layers', '--width', '0.5');
    const sum = (count: (layer: (typeof layers)[0]) => number) =>
      layers.reduce((total: number, layer: (typeof layers)[0]) => total + count(layer), 0);
    assert.equal(
      sum(({ madds }) => madds),
      network.madds,
    );
    assert.equal(
      sum(({ parameters }) => parameters),
      1_366_792,
    );
    assert.equal(
      sum(({ memory_access }) => memory_access.total_bytes),
      network.memory_access.total_bytes,
    );
  });

  for (const [args, input, stride, classes, madds] of [
    [['--head', 'ssdlite'], '300x300', 32, 91, '0.750'],
    [['--head', 'ssd'], '300x300', 32, 91, undefined],
    [['--head', 'deeplabv3'], '513x513', 16, 21, '2.741'],
    [['--head', 'deeplabv3_aspp'], '513x513', 16, 21, undefined],
    [['--head', 'deeplabv3', '--output-stride', '8', '--classes', '2'], '513x513', 8, 2, undefined],
    [['--resolution', '192x160', '--output-stride', '16'], '192x160', 16, 1000, undefined],
  ] as const) {
    test(`${args.join(' ')} is ${input} at output stride ${stride} with ${classes} classes`, async () => {
      const { network } = await json('mobilenet_v2', ...args);
      assert.deepEqual(
        [`${network.input.height}x${network.input.width}`, network.output_stride, network.classes],
        [input, stride, classes],
      );
      if (madds !== undefined) assert.equal((network.madds / 1e9).toFixed(3), madds);
    });
  }

  test('--element-bytes and --slices change memory and nothing else', async () => {
    const [whole, half] = [
      await json('mobilenet_v2', '--slices', '1'),
      await json('mobilenet_v2', '--slices', '1', '--element-bytes', '2'),
    ];
    assert.equal(half.network.madds, whole.network.madds);
    assert.equal(half.network.memory_access.total_bytes * 2, whole.network.memory_access.total_bytes);
    assert.equal(half.network.peak_memory.scheduled.bytes * 2, whole.network.peak_memory.scheduled.bytes);
    const { network } = await json('mobilenet_v2');
    assert.ok(network.peak_memory.blocks.bytes < whole.network.peak_memory.blocks.bytes);
  });

  test('is text for people, with the layers and the guidelines that they ask for', async () => {
    const text = await cost('mobilenet_v2', '--layers', '--guidelines');
    assert.match(text, /^MobileNetV2 1 \(mobilenet_v2\), classifier with 1000 classes, 224x224/);
    assert.match(text, /MAdds +300\.8 M\nparameters +3\.505 M, 3\.488 M/);
    assert.match(
      text,
      /G1 [^\n]*\n +channels differ by more than 2:1:\n +backbone\.stage2\.0\.expand\.conv +16 -> 96/,
    );
    for (const guideline of ['G2', 'G3', 'G4']) assert.match(text, new RegExp(`^${guideline} `, 'm'));
    assert.match(text, /backbone\.stem\.conv +│ conv +│ 32x112x112 +│ 10838016 │ +928/);
    assert.doesNotMatch(await cost('mobilenet_v2'), /G1|backbone\.stem/);
  });

  test('--guidelines is part of the JSON, in its spelling', async () => {
    const { guidelines } = await json('shufflenet_v1_g3', '--guidelines');
    assert.deepEqual(Object.keys(guidelines), [
      'channel_balance',
      'group_convolution',
      'fragmentation',
      'element_wise',
    ]);
    assert.ok(guidelines.group_convolution.grouped.memory_access > 0.2);
    assert.ok(guidelines.channel_balance.breaking[0].in_channels > 0);
  });

  test('--csv is a line a network, and with --layers a line a layer', async () => {
    const [network, ...others] = rows(await cost('mobilenet_v2', '--csv'));
    assert.deepEqual([network?.madds, others.length], ['300774272', 0]);
    const layers = rows(await cost('mobilenet_v2', '--csv', '--layers'));
    assert.equal(
      layers.reduce((sum, { madds }) => sum + Number(madds), 0),
      300_774_272,
    );
    assert.deepEqual([layers[1]?.block, layers[1]?.output], ['backbone.stage1.0', '32x112x112']);
  });
});

describe('thinlens cost, of all', () => {
  test('is every published width of every backbone, with or without --all', async () => {
    const wanted = backbones().flatMap(({ name, widths }) => widths.map((width) => `${name} ${width}`));
    const csv = rows(await cost('--csv', '--guidelines'));
    assert.deepEqual(
      csv.map(({ backbone, width }) => `${backbone} ${width}`),
      wanted,
    );
    assert.ok(csv.every(({ g1_balance_excess: excess }) => Number(excess) >= 1));
    const { networks } = await json('--all');
    assert.equal(networks.length, wanted.length);
    const table = await cost();
    assert.match(table, /│ mobilenet_v2 +│ +1 │ 224x224 │ +32 │ 300\.8 M │ 3\.505 M │/);
    assert.equal(table.match(/224x224/g)?.length, wanted.length);
  });

  test('leaves out, and names, what cannot be, and takes the options of one', async () => {
    const { exit, stdout, stderr } = await thinlens(['cost', '--head', 'ssdlite', '--width', '1.2', '--csv']);
    assert.deepEqual(exit, [0, null]);
    assert.match(
      stderr,
      /^thinlens: left out because of --head: shufflenet_v1_g1, .*squeezenet_1_0, squeezenet_1_1;/m,
    );
    assert.match(stderr, /^thinlens: left out because of --width: shufflenet_v2;/m);
    const found = rows(stdout);
    assert.ok(found.length > 0);
    assert.ok(
      found.every(
        ({ head, width, input_height }) => `${head} ${width} ${input_height}` === 'ssdlite 1.2 300',
      ),
    );
  });
});

describe('thinlens cost refuses', () => {
  for (const [args, wanted] of [
    [['resnet_50'], /BACKBONE must be one of mobilenet_v1, .*, got 'resnet_50'/],
    [['mobilenet_v2', '--width', '0'], /--width must be a number from 0\.1 to 4, got '0'/],
    [['shufflenet_v2', '--width', '0.7'], /--width must be 0\.5, 1, 1\.5 or 2 for shufflenet_v2, got 0\.7/],
    [['mobilenet_v2', '--resolution', '31'], /--resolution must be one whole number from 32 to 2048/],
    [['mobilenet_v2', '--resolution', '224x'], /--resolution must be .* as HxW, got '224x'/],
    [['mobilenet_v2', '--resolution', '64x64x3'], /--resolution must be/],
    [['mobilenet_v2', '--head', 'ssd', '--resolution', '300x320'], /--resolution must be one side for ssd/],
    [['mobilenet_v2', '--output-stride', '4'], /'4' is invalid\. Allowed choices are 8, 16, 32/],
    [
      ['mobilenet_v2', '--head', 'deeplabv3', '--output-stride', '32'],
      /--output-stride must be 8 or 16 for mobilenet_v2 with DeepLabv3/,
    ],
    [['squeezenet_1_1', '--output-stride', '32'], /--output-stride must be (8 or )?16 for squeezenet_1_1/],
    [
      ['squeezenet_1_0', '--head', 'deeplabv3'],
      /--head must be classifier for squeezenet_1_0.*; backbones that carry heads are mobilenet_v1,/,
    ],
    [['shufflenet_v1_g3', '--head', 'ssdlite'], /--head must be classifier for shufflenet_v1_g3/],
    [
      ['mobilenet_v2', '--head', 'yolo'],
      /Allowed choices are classifier, ssdlite, ssd, deeplabv3, deeplabv3_aspp/,
    ],
    [['mobilenet_v2', '--classes', '1.5'], /--classes must be a whole number from 1 to 100000/],
    [['mobilenet_v2', '--element-bytes', '3'], /Allowed choices are 1, 2, 4/],
    [['mobilenet_v2', '--json', '--csv'], /'--json' cannot be used with option '--csv'/],
    [['mobilenet_v2', '--all'], /--all counts every backbone: leave BACKBONE out/],
    [['--layers'], /--layers needs one BACKBONE/],
  ] as const) {
    test(args.join(' '), async () => {
      const { exit, stdout, stderr } = await thinlens(['cost', ...args]);
      assert.deepEqual([exit, stdout], [[1, null], ''], stderr);
      assert.match(stderr, wanted);
      assert.doesNotMatch(stderr, /\bat .*\.js/);
    });
  }
});

test('CSV quotes what needs quotes', () => {
  assert.equal(
    toCsv(
      ['a', 'b'],
      [
        ['x,y', 'say "no"'],
        [1, 'two\nlines'],
      ],
    ),
    'a,b\r\n"x,y","say ""no"""\r\n1,"two\nlines"\r\n',
  );
});
