"""Pictures of what networks see: boxes or masks over a few photos, for looking at.

  python3 draw.py weights/ssdlite_mnasnet_a1_coco.safetensors photos/images --count 6 --out seen.png
"""
import argparse

import numpy as np
import torch
from PIL import Image, ImageDraw

from anchors import ssd_anchors
from categories import voc_palette
from folders import list_images
from predict import detect, segment
from weights import load_any

TILE = 320


def draw_boxes(image, boxes, names, threshold):
    draw = ImageDraw.Draw(image)
    palette = voc_palette()
    for category, score, x, y, w, h in boxes:
        if score < threshold:
            continue
        colour = tuple(palette[3 * (category % 20 + 1):][:3])
        draw.rectangle((x, y, x + w, y + h), outline=colour, width=3)
        draw.text((x + 4, y + 2), f'{names.get(str(category), category)} {score:.2f}', fill='white')
    return image


def draw_mask(image, mask):
    layer = Image.fromarray(mask, 'P')
    layer.putpalette(voc_palette())
    alpha = Image.fromarray(np.where(mask > 0, 150, 0).astype(np.uint8))
    return Image.composite(layer.convert('RGB'), image, alpha)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('networks', nargs='+', help='one row of pictures each')
    p.add_argument('photos')
    p.add_argument('--count', type=int, default=6)
    p.add_argument('--threshold', type=float, default=0.35)
    p.add_argument('--out', default='seen.png')
    args = p.parse_args()
    paths = list_images(args.photos)
    paths = paths[::max(1, len(paths) // args.count)][:args.count]
    sheet = Image.new('RGB', (TILE * len(paths), TILE * len(args.networks)))
    with torch.no_grad():
        for row, path in enumerate(args.networks):
            net, about = load_any(path)
            for column, photo in enumerate(paths):
                image = Image.open(photo).convert('RGB')
                if net.task == 'det':
                    found, = detect(net.eval(), [image], ssd_anchors())
                    image = draw_boxes(image, found, about['classes']['names'], args.threshold)
                else:
                    image = draw_mask(image, segment(net.eval(), image))
                image.thumbnail((TILE, TILE))
                sheet.paste(image, (column * TILE, row * TILE))
    sheet.save(args.out)


if __name__ == '__main__':
    main()
