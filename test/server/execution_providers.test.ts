// An execution provider is used, or the start ends with a sentence: never the CPU in its stead.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  checkProvider,
  EXECUTION_PROVIDERS,
  ExecutionProviderError,
  providerFault,
} from '../../server/inference/execution_providers.ts';
import { InferenceSession, listSupportedBackends } from '../../server/inference/onnx_runtime.ts';
import { openSession } from '../../server/inference/open.ts';
import { ImageSession } from '../../server/inference/session.ts';
import { catalog } from '../../server/zoo/catalog.ts';
import { ModelStore } from '../../server/zoo/store.ts';
import { assertRefused, home } from './child.ts';

const MODEL = 'ssdlite_mobilenet_v2_coco';
const START = ['serve', '--port', '0', '--models', MODEL, '--log-level', 'silent'];
const listed = listSupportedBackends().map(({ name }) => name);

describe('an execution provider', () => {
  test('of each name that this build of ONNX Runtime lists is one that the setting takes', () => {
    for (const name of listed)
      assert.ok(
        EXECUTION_PROVIDERS.some((known) => known === name),
        name,
      );
    assert.ok(listed.includes('cpu'));
  });

  test('that does not exist is refused with those that do', async () => {
    await assertRefused(
      [...START, '--execution-provider', 'gpu'],
      /^thinlens: --execution-provider is 'gpu', but must be: one of cpu, cuda, tensorrt, webgpu, dml, coreml\n$/,
    );
  });

  test('that is not in this build is refused with those that are', async () => {
    const missing =
      EXECUTION_PROVIDERS.find((name) => !listed.includes(name)) ?? assert.fail('all are there');
    await assertRefused(
      [...START, '--execution-provider', missing],
      new RegExp(
        `^thinlens: model ${MODEL} cannot be loaded: .* has no execution provider '${missing}': it has .*cpu`,
      ),
    );
    assert.throws(
      () => checkProvider('coreml', [{ name: 'cpu' }, { name: 'dml' }]),
      /'coreml': it has cpu, dml$/,
    );
  });

  // Packages' install scripts do not run here (.npmrc), so cuda's libraries are on no machine that runs this.
  test('whose libraries are missing stops the start: the CPU does not stand in for it', async () => {
    await assertRefused(
      [...START, '--execution-provider', 'cuda'],
      new RegExp(`thinlens: model ${MODEL} cannot be loaded: .*execution provider 'cuda'.+\n$`),
    );
    await assertRefused(['detect', 'samples/cat.jpg'], /execution provider 'cuda'/, {
      THINLENS_EXECUTION_PROVIDER: 'cuda',
    });
  });

  test('that does not open a session is told by name, with what ONNX Runtime says, and what it needs', async () => {
    const network = new Uint8Array(await onnx());
    for (const executionProvider of EXECUTION_PROVIDERS) {
      const options = { executionProviders: [executionProvider] };
      const plain = await InferenceSession.create(network, options).catch((error: Error) => error);
      const ours = await ImageSession.open(network, { threads: 1, executionProvider }).catch(
        (error: Error) => error,
      );
      assert.equal(ours instanceof Error, plain instanceof Error, executionProvider);
      if (!(plain instanceof Error)) await plain.release();
      if (ours instanceof ImageSession) await ours.close();
      else {
        assert.ok(ours instanceof ExecutionProviderError, String(ours));
        assert.match(ours.message, new RegExp(`execution provider '${executionProvider}'.*: [^/\n]+$`));
      }
    }
    assert.equal(
      providerFault(
        'webgpu',
        new Error('/onnxruntime_src/x/y.cc:136 f()::<lambda()> a == b was false. No adapter\n'),
      ).message,
      "the execution provider 'webgpu' cannot be used: No adapter (it needs a GPU with a Vulkan, Direct3D 12 or Metal driver)",
    );
  });

  test('that cannot be had is told before the store is asked, which could not be written either', async () => {
    const record = catalog.find(({ name }) => name === MODEL) ?? assert.fail();
    const nowhere = new ModelStore('/proc/models');
    for (const executionProvider of ['cuda', 'coreml'] as const) {
      await assert.rejects(
        openSession(record, nowhere, { threads: 1, executionProvider }),
        (error) => error instanceof ExecutionProviderError && !error.message.includes('/proc'),
      );
    }
    await assert.rejects(openSession(record, nowhere, { threads: 1 }), /\/proc\/models/);
  });

  test('cpu, which is everywhere, runs a network', async () => {
    const session = await ImageSession.open(await onnx(), { threads: 1, executionProvider: 'cpu' });
    const outputs = await session.run(new Uint8Array(300 * 300 * 3), { width: 300, height: 300 });
    assert.equal(outputs.class_logits?.length, 1917 * 91);
    await session.close();
  });
});

/** The compiled network of `MODEL`. */
async function onnx(): Promise<Uint8Array> {
  const record = catalog.find(({ name }) => name === MODEL) ?? assert.fail();
  return (await new ModelStore(home).compiled(record)).onnx;
}
