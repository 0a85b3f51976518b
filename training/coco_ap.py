"""COCO box average precision: IoU .50:.05:.95, 101 recall points, 100 detections a class and image, crowds ignored."""
import numpy as np

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100


def iou_matrix(detections, truth, crowd):
    """Boxes as x y width height -> [detections, truth]; against a crowd the union is the detection alone."""
    d, t = detections[:, None], truth[None]
    width = np.minimum(d[..., 0] + d[..., 2], t[..., 0] + t[..., 2]) - np.maximum(d[..., 0], t[..., 0])
    height = np.minimum(d[..., 1] + d[..., 3], t[..., 1] + t[..., 3]) - np.maximum(d[..., 1], t[..., 1])
    both = np.clip(width, 0, None) * np.clip(height, 0, None)
    area, other = d[..., 2] * d[..., 3], t[..., 2] * t[..., 3]
    return both / np.maximum(np.where(crowd[None], area, area + other - both), 1e-9)


def match_image(scores, detections, truth, crowd):
    """One class in one image -> (scores in order, hit [10, n], ignored [10, n])."""
    order = np.argsort(-scores, kind='stable')[:MOST]
    scores, detections = scores[order], detections[order]
    judged_first = np.argsort(crowd, kind='stable')
    truth, crowd = truth[judged_first], crowd[judged_first]
    hit, ignored = (np.zeros((len(THRESHOLDS), len(detections)), bool) for _ in range(2))
    if not len(detections) or not len(truth):
        return scores, hit, ignored
    iou = iou_matrix(detections, truth, crowd)
    for t, threshold in enumerate(THRESHOLDS):
        used = np.zeros(len(truth), bool)
        for d in range(len(detections)):
            best, at = min(threshold, 1 - 1e-10), -1
            for g in range(len(truth)):
                if used[g] and not crowd[g]:
                    continue
                if at >= 0 and not crowd[at] and crowd[g]:
                    break  # a judged box is matched: crowds, which come last, cannot win
                if iou[d, g] >= best:
                    best, at = iou[d, g], g
            if at >= 0:
                used[at] = True
                hit[t, d], ignored[t, d] = not crowd[at], crowd[at]
    return scores, hit, ignored


def average_precision(instances, detections):
    """instances: COCO-format dict; detections: image id -> [(category id, score, x, y, width, height)]
    -> {'AP', 'AP50', 'AP75', 'classes', 'per_class'}, fractions."""
    truth, categories = {}, set()
    for a in instances['annotations']:
        truth.setdefault((a['image_id'], a['category_id']), []).append(a)
        if not a.get('iscrowd', 0):
            categories.add(a['category_id'])
    table = {}
    for category in sorted(categories):
        parts, positives = [], 0
        for image in sorted(im['id'] for im in instances['images']):
            rows = truth.get((image, category), [])
            crowd = np.array([bool(a.get('iscrowd', 0)) for a in rows], bool)
            positives += int((~crowd).sum())
            found = [d for d in detections.get(image, []) if d[0] == category]
            parts.append(match_image(np.array([d[1] for d in found], float),
                                     np.array([d[2:] for d in found], float).reshape(-1, 4),
                                     np.array([a['bbox'] for a in rows], float).reshape(-1, 4), crowd))
        order = np.argsort(-np.concatenate([p[0] for p in parts]), kind='stable')
        hit, ignored = (np.concatenate([p[i] for p in parts], 1)[:, order] for i in (1, 2))
        table[category] = [precision_area(hit[t] & ~ignored[t], ~hit[t] & ~ignored[t], positives)
                           for t in range(len(THRESHOLDS))]
    values = np.array(list(table.values())).reshape(-1, len(THRESHOLDS))
    return {'AP': float(values.mean()), 'AP50': float(values[:, 0].mean()), 'AP75': float(values[:, 5].mean()),
            'classes': len(table), 'per_class': {c: float(np.mean(v)) for c, v in table.items()}}


def precision_area(hit, miss, positives):
    """Mean precision at the 101 recalls, precision made monotone."""
    if not len(hit):
        return 0.0
    hits, misses = np.cumsum(hit), np.cumsum(miss)
    recall, precision = hits / positives, hits / np.maximum(hits + misses, 1e-9)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side='left')
    return float(np.where(at < len(precision), precision[np.minimum(at, len(precision) - 1)], 0.0).mean())
