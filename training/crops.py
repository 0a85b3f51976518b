"""Random crops of training photos, and batches of them."""
import random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance

from categories import IGNORE
from folders import is_labelled, to_planes


def squashed(photo, size):
    """The whole photo, aspect ratio given up -> [3, size, size] in [-1, 1]."""
    return to_planes(photo.image().resize((size, size), Image.BILINEAR))


def sample_batches(photos, count, size, seed=11, each=16):
    """`count` whole photos drawn at random, in batches: what initial.py and calibrate() measure on."""
    pick = np.random.RandomState(seed).permutation(len(photos))[:count]
    return [torch.stack([squashed(photos[i], size) for i in pick[j:j + each]]) for j in range(0, len(pick), each)]


def jitter(image, rng):
    """Brightness, contrast and saturation; now and then grey."""
    for enhance, amount in ((ImageEnhance.Brightness, .25), (ImageEnhance.Contrast, .25), (ImageEnhance.Color, .35)):
        if rng.random() < 0.6:
            image = enhance(image).enhance(1 + rng.uniform(-amount, amount))
    return image.convert('L').convert('RGB') if rng.random() < 0.03 else image


def random_window(width, height, rng, task):
    """A window in pixels: x0 y0 x1 y1. Detection mostly sees most of the photo, as it does at test time."""
    if task == 'det' and rng.random() < 0.3:
        return 0, 0, width, height
    smallest, widest = (0.3, 1.67) if task == 'det' else (0.35, 1.25)
    for _ in range(10):
        area = rng.uniform(smallest, 1.0) * width * height
        ratio = np.exp(rng.uniform(-np.log(widest), np.log(widest)))
        w, h = (area * ratio) ** 0.5, (area / ratio) ** 0.5
        if w <= width and h <= height:
            break
    else:
        w = h = min(width, height)
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    return x, y, x + w, y + h


def boxes_in_window(rows, window, width, height, flip):
    """Photo.boxes -> (boxes [ymin xmin ymax xmax] as fractions of the window, classes). Crowds, and boxes cut down to
    less than 40 %, come back with class -1: not judged."""
    x0, y0, x1, y1 = window
    boxes, classes = [], []
    for category, left, top, right, bottom, crowd in rows:
        whole = [(left * width - x0) / (x1 - x0), (top * height - y0) / (y1 - y0),
                 (right * width - x0) / (x1 - x0), (bottom * height - y0) / (y1 - y0)]
        cut = [min(max(v, 0.0), 1.0) for v in whole]
        area, left_over = ((v[2] - v[0]) * (v[3] - v[1]) for v in (whole, cut))
        if left_over <= 0 or area <= 0 or cut[2] - cut[0] < 0.004 or cut[3] - cut[1] < 0.004:
            continue
        if flip:
            cut[0], cut[2] = 1 - cut[2], 1 - cut[0]
        boxes.append([cut[1], cut[0], cut[3], cut[2]])
        classes.append(-1 if crowd or left_over / area < 0.4 else category)
    return boxes, classes


class Crops(torch.utils.data.IterableDataset):
    """Endless crops of the photos that are not held out; labelled photos come `boost` times as often.
    Detection yields (image uint8 [3, s, s], boxes, classes, known), segmentation (image, mask uint8 [s, s])."""

    def __init__(self, photos, task, size, seed=0, boost=2):
        self.photos = [p for p in photos if not p.held_out]
        self.task, self.size, self.seed, self.boost = task, size, seed, boost

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        rng = random.Random(self.seed * 1000 + (worker.id if worker else 0))
        order = []
        while True:
            if not order:
                for photo in self.photos:
                    order += [photo] * (self.boost if is_labelled(photo, self.task) else 1)
                rng.shuffle(order)
            yield self.crop(order.pop(), rng)

    def crop(self, photo, rng):
        image, size = photo.image(), self.size
        width, height = image.size
        window, flip = random_window(width, height, rng, self.task), rng.random() < 0.5
        out = image.resize((size, size), Image.BILINEAR, window)
        if flip:
            out = out.transpose(Image.FLIP_LEFT_RIGHT)
        out = torch.from_numpy(np.array(jitter(out, rng))).permute(2, 0, 1).contiguous()
        if self.task == 'det':
            known = photo.boxes is not None
            return (out, *boxes_in_window(photo.boxes or [], window, width, height, flip), known)
        mask = photo.mask()
        if mask is None:
            return out, torch.full((size, size), IGNORE, dtype=torch.uint8)
        mask = mask.resize((size, size), Image.NEAREST, window)
        if flip:
            mask = mask.transpose(Image.FLIP_LEFT_RIGHT)
        return out, torch.from_numpy(np.array(mask))


def collate_detection(rows):
    """-> (images, (boxes [B, n, 4], classes [B, n], known [B])); classes are padded with 0."""
    n = max(1, max(len(boxes) for _, boxes, _, _ in rows))
    boxes, classes = torch.zeros(len(rows), n, 4), torch.zeros(len(rows), n, dtype=torch.long)
    for i, (_, b, c, _) in enumerate(rows):
        if b:
            boxes[i, :len(b)], classes[i, :len(c)] = torch.tensor(b), torch.tensor(c)
    return torch.stack([r[0] for r in rows]), (boxes, classes, torch.tensor([r[3] for r in rows]))


def collate_segmentation(rows):
    return torch.stack([r[0] for r in rows]), torch.stack([r[1] for r in rows])


def mosaic(images):
    """A batch of four-photo mosaics, each photo shrunk into a corner. It has no ground truth: a teacher labels it."""
    size = images.shape[-1]
    x, y = (int(size * (0.35 + 0.3 * float(torch.rand(())))) for _ in range(2))
    out = torch.empty_like(images)
    for top, bottom, left, right in ((0, y, 0, x), (0, y, x, size), (y, size, 0, x), (y, size, x, size)):
        part = images[torch.randperm(len(images), device=images.device)].float()
        part = F.interpolate(part, (bottom - top, right - left), mode='bilinear', align_corners=False, antialias=True)
        out[..., top:bottom, left:right] = part.round().clamp(0, 255).to(images.dtype)
    return out


def mixup(images, alpha=0.2):
    """Every photo mixed with another of the batch; likewise without ground truth."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return images.float() * share + images.float().flip(0) * (1 - share)
