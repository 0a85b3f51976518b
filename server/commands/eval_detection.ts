import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { CocoDetection } from '../../heads/ssdlite/coco/detections.ts';
import { evaluateDetections } from '../../heads/ssdlite/coco/evaluation.ts';
import type { CocoInstances } from '../../heads/ssdlite/coco/instances.ts';
import { parseInstances } from '../../heads/ssdlite/coco/instances.ts';
import type { Detector } from '../inference/detector.ts';
import type { PrecisionSetting } from '../inference/precision.ts';
import { readSettings } from '../settings.ts';
import { defaultModel } from '../zoo/records.ts';
import { CommandError, numberBetween } from './arguments.ts';
import { naming, readFrom } from './dataset.ts';
import { openDetector, precisionOption } from './open_model.ts';
import { startProgress } from './progress.ts';

/** As the reference evaluates: next to nothing is cut off by score, and 100 boxes a photo are kept. */
const SCORE_THRESHOLD = 0.001;
const AS_THE_REFERENCE = { iouThreshold: 0.6, maxDetections: 100, agnosticNms: false } as const;

/** Names of COCO's twelve numbers as people read them. */
const TITLES = {
  AP: 'AP   IoU 0.50:0.95  all     100 detections',
  AP50: 'AP   IoU 0.50       all     100 detections',
  AP75: 'AP   IoU 0.75       all     100 detections',
  AP_small: 'AP   IoU 0.50:0.95  small   100 detections',
  AP_medium: 'AP   IoU 0.50:0.95  medium  100 detections',
  AP_large: 'AP   IoU 0.50:0.95  large   100 detections',
  AR_1: 'AR   IoU 0.50:0.95  all       1 detection',
  AR_10: 'AR   IoU 0.50:0.95  all      10 detections',
  AR_100: 'AR   IoU 0.50:0.95  all     100 detections',
  AR_small: 'AR   IoU 0.50:0.95  small   100 detections',
  AR_medium: 'AR   IoU 0.50:0.95  medium  100 detections',
  AR_large: 'AR   IoU 0.50:0.95  large   100 detections',
} as const;

interface Options {
  readonly model: string;
  readonly precision?: PrecisionSetting;
  readonly images: string;
  readonly annotations: string;
  readonly scoreThreshold: number;
  readonly json?: boolean;
}

/** `thinlens eval detection`: accuracy on a dataset, as COCO measures it. */
export function evalDetectionCommand(): Command {
  return new Command('detection')
    .description("Measure a detection model with COCO's twelve numbers.")
    .requiredOption('--images <dir>', 'folder of the photos')
    .requiredOption('--annotations <file>', 'ground truth: an instances.json in COCO form')
    .option('--model <name>', 'model to measure', defaultModel('detection'))
    .addOption(precisionOption())
    .option(
      '--score-threshold <0..1>',
      'lowest score counted',
      numberBetween('--score-threshold', 0, 1),
      SCORE_THRESHOLD,
    )
    .option('--json', 'print one JSON object')
    .action(evalDetection);
}

async function evalDetection(options: Options): Promise<void> {
  const instances = parseInstances(await readJson(options.annotations), options.annotations);
  const detector = await openDetector(options.model, options.precision);
  const detections = await detectAll(detector, instances, options);
  const { summary, perCategory } = evaluateDetections(instances, detections);
  if (options.json) {
    const images = instances.images.length;
    console.log(
      JSON.stringify(
        {
          model: options.model,
          precision: detector.precision,
          images,
          ...summary,
          per_category: perCategory,
        },
        null,
        2,
      ),
    );
  } else {
    console.log(
      `${options.model} (${detector.precision}) on ${instances.images.length} images of ${options.annotations}`,
    );
    for (const [key, title] of Object.entries(TITLES)) {
      const value = summary[key as keyof typeof TITLES];
      console.log(`${title}  ${value < 0 ? '  none' : value.toFixed(4)}`);
    }
  }
  await detector.close();
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new CommandError(`${path} cannot be read as JSON: ${(error as Error).message}`);
  }
}

/** Runs the model over every image of the ground truth. A missing or broken photo stops it: its figures would be wrong. */
async function detectAll(
  detector: Detector,
  instances: CocoInstances,
  options: Options,
): Promise<CocoDetection[]> {
  const { maxImagePixels: maxPixels } = readSettings({}, process.env);
  const progress = startProgress(instances.images.length);
  const detections: CocoDetection[] = [];
  try {
    for (const { id, file_name } of instances.images) {
      const encoded = await readFrom(options.images, file_name);
      const { objects } = await naming(options.images, file_name, () =>
        detector.detect(
          { kind: 'encoded', bytes: encoded },
          { ...AS_THE_REFERENCE, scoreThreshold: options.scoreThreshold },
          { maxPixels },
        ),
      );
      for (const { classId, score, box } of objects) {
        const bbox = [box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min] as const;
        detections.push({ image_id: id, category_id: classId, bbox, score });
      }
      progress.advance();
    }
  } finally {
    progress.stop();
  }
  return detections;
}
