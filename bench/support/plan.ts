import type { Precision } from '../../server/zoo/record.ts';

/** What networks do with a photo here. */
export const TASKS = ['detection', 'segmentation'] as const;
export type BenchTask = (typeof TASKS)[number];

export const KINDS = ['thinlens', 'floor', 'tfjs', 'tutorial'] as const;
export type ContestantKind = (typeof KINDS)[number];

/** What each kind is, for whoever reads the figures. */
export const DESCRIPTIONS: Readonly<Record<ContestantKind, string>> = {
  thinlens: '`thinlens serve` over HTTP, the photo as the body: everything that a request costs',
  floor:
    'sharp and onnxruntime-node in a plain loop, in as many processes as thinlens has workers: decode, resize and run the same network. No HTTP, no queue, no checks, and nothing is made of the outputs: no boxes, no suppression, no class map, no PNG, no JSON. For one client, one of the processes works alone',
  tfjs: 'TensorFlow.js with its WebAssembly backend behind express, one process: coco-ssd, the same checkpoint (bench/rivals/tfjs-server.js)',
  tutorial:
    'express, multer, sharp and onnxruntime-node with its default options on the main thread, one process: the same fp32 file (bench/rivals/tutorial-server.js)',
};

/** One of those that take turns. */
export interface Contestant {
  readonly kind: ContestantKind;
  readonly task: BenchTask;
  readonly precision: Precision;
}

const TITLES: Readonly<Record<ContestantKind, string>> = {
  thinlens: 'thinlens',
  floor: 'floor',
  tfjs: 'TF.js coco-ssd',
  tutorial: 'tutorial server',
};

/** The name that a contestant has within its task. */
export const nameOf = ({ kind, precision }: Contestant): string => `${TITLES[kind]} ${precision}`;

/** Those of a task, in the order of the tables. The rivals only detect, and only in single precision. */
export function contestantsOf(
  task: BenchTask,
  precisions: readonly Precision[],
  kinds: readonly ContestantKind[],
): Contestant[] {
  const ours = (['thinlens', 'floor'] as const).flatMap((kind) =>
    precisions.map((precision): Contestant => ({ kind, task, precision })),
  );
  const rivals = (['tfjs', 'tutorial'] as const).map(
    (kind): Contestant => ({ kind, task, precision: 'fp32' }),
  );
  return [...ours, ...(task === 'detection' ? rivals : [])].filter(({ kind }) => kinds.includes(kind));
}

/** Who follows whom in a round: each round another one begins, so that nobody always has the warm, or the tired, machine. */
export function turnsOf<Item>(items: readonly Item[], round: number): Item[] {
  const first = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}
