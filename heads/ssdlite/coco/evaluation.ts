import { accumulate, rankDetections } from './accumulation.ts';
import { type CocoDetection, checkDetections } from './detections.ts';
import type { CocoAnnotation, CocoInstances } from './instances.ts';
import { type MatchGroup, matchGroup } from './matching.ts';
import { AREA_RANGES, IOU_THRESHOLDS, MAX_DETECTIONS } from './parameters.ts';
import { type CategoryEvaluation, type DetectionSummary, meanOfDefined, summarize } from './summary.ts';

const MOST_DETECTIONS = Math.max(...MAX_DETECTIONS);

export interface DetectionEvaluation {
  readonly summary: DetectionSummary;
  /** One entry per category of the data, ascending id. */
  readonly perCategory: readonly CategoryEvaluation[];
}

/**
 * COCO's box metric: AP and AR of a detector's boxes against annotated images, equal to what pycocotools computes
 * (`COCOeval` with iouType 'bbox' and default parameters) up to rounding. Lin et al., "Microsoft COCO: Common Objects
 * in Context", 2014; https://cocodataset.org/#detection-eval.
 *
 * Every image counts, also one without detections or annotations. Boxes are taken as they are: not clipped to the
 * image, duplicates not removed. Of each image and category the 100 best detections count. Detections of equal score
 * rank by ascending image id, then by their order in `detections`. One departure from pycocotools: there a match with
 * the annotation of id 0 counts as none; here an id is just a name.
 *
 * @param instances as parseInstances returns them
 * @param detections in any order; those of a category that `instances` does not list are left out
 * @throws CocoFormatError if a detection names an unknown image, or its box or score is not finite
 */
export function evaluateDetections(
  instances: CocoInstances,
  detections: readonly CocoDetection[],
): DetectionEvaluation {
  const imageIds = instances.images.map(({ id }) => id).sort((a, b) => a - b);
  checkDetections(detections, new Set(imageIds));
  const annotations = byCategoryAndImage(instances.annotations);
  const detected = byCategoryAndImage(detections);

  const perCategory = instances.categories
    .toSorted((a, b) => a.id - b.id)
    .map((category) => {
      const annotationsOf = annotations.get(category.id) ?? new Map<number, CocoAnnotation[]>();
      const detectionsOf = detected.get(category.id) ?? new Map<number, CocoDetection[]>();
      return {
        category_id: category.id,
        name: category.name,
        ...countObjects(annotationsOf, detectionsOf),
        ...evaluateCategory(imageIds, annotationsOf, detectionsOf),
      };
    });
  return { summary: summarize(perCategory), perCategory };
}

type ByImage<Item> = Map<number, Item[]>;

/** Category id -> image id -> items, in the order in which they come. */
function byCategoryAndImage<Item extends { readonly image_id: number; readonly category_id: number }>(
  items: readonly Item[],
): Map<number, ByImage<Item>> {
  const categories = new Map<number, ByImage<Item>>();
  for (const item of items) {
    let images = categories.get(item.category_id);
    if (!images) {
      images = new Map();
      categories.set(item.category_id, images);
    }
    const group = images.get(item.image_id);
    if (group) group.push(item);
    else images.set(item.image_id, [item]);
  }
  return categories;
}

function countObjects(annotations: ByImage<CocoAnnotation>, detections: ByImage<CocoDetection>) {
  const count = { ground_truth: 0, crowd: 0, detections: 0 };
  for (const group of annotations.values()) {
    for (const { iscrowd } of group) count[iscrowd === 1 ? 'crowd' : 'ground_truth']++;
  }
  for (const group of detections.values()) count.detections += group.length;
  return count;
}

function evaluateCategory(
  imageIds: readonly number[],
  annotations: ByImage<CocoAnnotation>,
  detections: ByImage<CocoDetection>,
): DetectionSummary & Pick<CategoryEvaluation, 'AP_by_iou'> {
  const groups: MatchGroup[] = [];
  for (const id of imageIds) {
    const best =
      detections
        .get(id)
        ?.toSorted((a, b) => b.score - a.score)
        .slice(0, MOST_DETECTIONS) ?? [];
    const objects = annotations.get(id) ?? [];
    if (best.length > 0 || objects.length > 0) groups.push(matchGroup(objects, best));
  }
  const ranking = rankDetections(groups);
  const all = accumulate(groups, ranking, AREA_RANGES.all);
  const small = accumulate(groups, ranking, AREA_RANGES.small);
  const medium = accumulate(groups, ranking, AREA_RANGES.medium);
  const large = accumulate(groups, ranking, AREA_RANGES.large);
  const [AR_1, AR_10, AR_100] = MAX_DETECTIONS.map(all.recallWithin);
  return {
    AP: meanOfDefined(all.precisions),
    AP50: all.precisions[IOU_THRESHOLDS.indexOf(0.5)],
    AP75: all.precisions[IOU_THRESHOLDS.indexOf(0.75)],
    AP_small: meanOfDefined(small.precisions),
    AP_medium: meanOfDefined(medium.precisions),
    AP_large: meanOfDefined(large.precisions),
    AR_1,
    AR_10,
    AR_100,
    AR_small: small.recallWithin(MOST_DETECTIONS),
    AR_medium: medium.recallWithin(MOST_DETECTIONS),
    AR_large: large.recallWithin(MOST_DETECTIONS),
    AP_by_iou: all.precisions,
  };
}
