"""Training photos from ordinary folders.

  plain photos         a folder with .jpg, .jpeg or .png files, at any depth
  COCO-format boxes    instances.json beside or apart from a folder of photos (bbox x y width height in pixels, iscrowd)
  VOC-format masks     NAME.png per photo NAME.jpg: palette or grey, pixel = class index, 255 = not judged
"""
import os
import zlib

import numpy as np
from PIL import Image

from categories import COCO, VOC
from network import COCO_COLUMNS
from tensors import read_json

SUFFIXES = ('.jpg', '.jpeg', '.png')


class Photo:
    """path; boxes: None where unknown, else rows [category id, x0, y0, x1, y1 (fractions of the photo), crowd];
    mask_path: None where there is none; held_out: kept for validation, never trained on."""

    def __init__(self, path, boxes=None, mask_path=None):
        self.path, self.boxes, self.mask_path, self.held_out = path, boxes, mask_path, False

    def image(self):
        return Image.open(self.path).convert('RGB')

    def mask(self):
        return None if self.mask_path is None else Image.open(self.mask_path)


def list_images(folder):
    found = []
    for base, _, files in os.walk(folder):
        found += [os.path.join(base, f) for f in files if f.lower().endswith(SUFFIXES)]
    return sorted(found)


def read_boxes(instances, images):
    """COCO instances -> (photos that exist under `images`, {category id: name})."""
    data = read_json(instances)
    rows = {}
    for a in data['annotations']:
        rows.setdefault(a['image_id'], []).append(a)
    photos = []
    for im in data['images']:
        path = os.path.join(images, im['file_name'])
        if not os.path.exists(path):
            continue
        w, h = im['width'], im['height']
        boxes = [[a['category_id'], a['bbox'][0] / w, a['bbox'][1] / h, (a['bbox'][0] + a['bbox'][2]) / w,
                  (a['bbox'][1] + a['bbox'][3]) / h, a.get('iscrowd', 0)] for a in rows.get(im['id'], [])]
        photos.append(Photo(path, boxes))
    names = {c['id']: c.get('name') or COCO.get(c['id'], str(c['id'])) for c in data['categories']}
    return photos, names


def gather(task, boxes=None, images=None, masks=None, plain=(), held_out=None):
    """All photos of a run -> (photos, categories or None).

    boxes: instances.json (its photos lie under `images`, default: the folder 'images' beside it); masks: a folder with
    a mask per photo under `images`; plain: folders of unlabelled photos; held_out: a text file with one file name a
    line, or a fraction of the labelled photos, chosen by a checksum of the name.
    """
    photos, names = [], None
    if boxes:
        images = images or os.path.join(os.path.dirname(os.path.abspath(boxes)), 'images')
        photos, names = read_boxes(boxes, images)
    elif images:
        photos = [Photo(p) for p in list_images(images)]
    if masks:
        for photo in photos:
            path = os.path.join(masks, os.path.splitext(os.path.basename(photo.path))[0] + '.png')
            photo.mask_path = path if os.path.exists(path) else None
    have = {os.path.abspath(p.path) for p in photos}
    for folder in plain:
        photos += [Photo(p) for p in list_images(folder) if os.path.abspath(p) not in have]
    if not photos:
        raise SystemExit('no photos found')
    mark_held_out(photos, task, held_out)
    return photos, names


def is_labelled(photo, task):
    return photo.boxes is not None if task == 'det' else photo.mask_path is not None


def mark_held_out(photos, task, held_out):
    if isinstance(held_out, str):
        with open(held_out) as file:
            chosen = {line.strip() for line in file}
        for photo in photos:
            photo.held_out = os.path.basename(photo.path) in chosen
    elif held_out:
        for photo in photos:
            checksum = zlib.crc32(os.path.basename(photo.path).encode()) % 1000
            photo.held_out = is_labelled(photo, task) and checksum < 1000 * held_out


def detection_classes(names=None):
    """The record's `classes` of a detector. Column k of the class tensor is category id k; without names: COCO's."""
    names = names or COCO
    if all(COCO.get(k) == v for k, v in names.items()):
        names = COCO
    if min(names) < 1:
        raise SystemExit('category ids must be 1 or more: column 0 of the class tensor is background')
    count = COCO_COLUMNS if names is COCO else max(names) + 1
    if count > 1000:
        raise SystemExit('category ids above 999: number the categories 1, 2, 3 ..')
    return {'background': 0, 'count': count, 'ids': sorted(names), 'names': {str(k): names[k] for k in sorted(names)}}


def segmentation_classes(names=None):
    """The record's `classes` of a segmenter: index = pixel value of the mask, 0 is background."""
    names = list(names or VOC)
    return {'count': len(names), 'names': names}


def to_planes(image):
    """PIL image -> float32 [3, H, W] in [-1, 1]."""
    import torch
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(127.5).sub_(1)
