"""Turns a packed training set (images.bin, masks.bin, index.json, labels.json, manifest.json) into ordinary folders.

  python3 unpack.py PACKED OUT

OUT/labelled/images, OUT/labelled/masks and OUT/labelled/instances.json hold the photos with ground truth, OUT/plain the
others, OUT/held-out.txt the names of the photos that no run trains on: every tenth COCO photo, every twentieth other.
"""
import os
import sys

from categories import COCO
from tensors import read_json, write_json


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    packed, out = sys.argv[1:]
    index = read_json(os.path.join(packed, 'index.json'))
    labels = {int(k): v for k, v in read_json(os.path.join(packed, 'labels.json')).items()}
    folders = {k: os.path.join(out, k) for k in ('labelled/images', 'labelled/masks', 'plain')}
    for folder in folders.values():
        os.makedirs(folder, exist_ok=True)
    images, annotations, held_out = [], [], []
    with open(os.path.join(packed, 'images.bin'), 'rb') as photos, open(os.path.join(packed, 'masks.bin'), 'rb') as masks:
        for i, row in enumerate(index):
            name = f'{i:06d}.jpg'
            labelled = i in labels or 'mo' in row
            photos.seek(row['o'])
            with open(os.path.join(folders['labelled/images' if labelled else 'plain'], name), 'wb') as file:
                file.write(photos.read(row['n']))
            if 'mo' in row:
                masks.seek(row['mo'])
                with open(os.path.join(folders['labelled/masks'], f'{i:06d}.png'), 'wb') as file:
                    file.write(masks.read(row['mn']))
            if i % (10 if row['kind'] == 'coco' else 20) == 0:
                held_out.append(name)
            if i not in labels:
                continue
            w, h = row['w'], row['h']
            images.append({'id': i, 'file_name': name, 'width': w, 'height': h})
            for category, x0, y0, x1, y1, crowd in labels[i]:
                box = [round(v, 2) for v in (x0 * w, y0 * h, (x1 - x0) * w, (y1 - y0) * h)]
                annotations.append({'id': len(annotations) + 1, 'image_id': i, 'category_id': category, 'bbox': box,
                                    'area': round(box[2] * box[3], 2), 'iscrowd': crowd})
    write_json(os.path.join(out, 'labelled/instances.json'), {
        'images': images, 'annotations': annotations, 'categories': [{'id': k, 'name': v} for k, v in COCO.items()]})
    with open(os.path.join(out, 'held-out.txt'), 'w') as file:
        file.write('\n'.join(held_out) + '\n')
    print(len(index), 'photos,', len(images), 'with boxes,', len(held_out), 'held out')


if __name__ == '__main__':
    main()
