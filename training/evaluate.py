"""Measures networks on a folder with images/, instances.json and, for segmentation, masks/NAME.png.

  python3 evaluate.py --data eval weights/ssdlite_mnasnet_a1_coco.safetensors runs/ssdlite_mine.pt

Prints AP and AP50, or mean IoU over the classes that occur; --out keeps everything as JSON.
"""
import argparse
import os
import time

import numpy as np
import torch
from PIL import Image

from anchors import ssd_anchors
from coco_ap import average_precision
from predict import detect, segment
from tensors import read_json, write_json
from weights import load_any


def open_photo(folder, entry):
    return Image.open(os.path.join(folder, entry['file_name'])).convert('RGB')


def evaluate_detection(net, data, device='cpu', batch=16):
    instances = read_json(os.path.join(data, 'instances.json'))
    folder, anchors, found = os.path.join(data, 'images'), ssd_anchors().to(device), {}
    known = {c['id'] for c in instances['categories']}
    for j in range(0, len(instances['images']), batch):
        part = instances['images'][j:j + batch]
        for entry, boxes in zip(part, detect(net, [open_photo(folder, e) for e in part], anchors, device)):
            found[entry['id']] = [b for b in boxes if b[0] in known]
    return {**average_precision(instances, found), 'images': len(instances['images'])}


def evaluate_segmentation(net, data, device='cpu'):
    instances = read_json(os.path.join(data, 'instances.json'))
    n = net.columns
    confusion, images = np.zeros((n, n), np.int64), 0
    for entry in instances['images']:
        path = os.path.join(data, 'masks', os.path.splitext(entry['file_name'])[0] + '.png')
        if not os.path.exists(path):
            continue
        wanted = np.array(Image.open(path))
        said = segment(net, open_photo(os.path.join(data, 'images'), entry), device)
        keep = wanted < n
        confusion += np.bincount(n * wanted[keep].astype(int) + said[keep], minlength=n * n).reshape(n, n)
        images += 1
    both = np.diag(confusion)
    iou = both / np.maximum(confusion.sum(0) + confusion.sum(1) - both, 1)
    present = confusion.sum(1) > 0
    return {'mIoU': float(iou[present].mean()), 'pixel': float(both.sum() / confusion.sum()), 'images': images,
            'per_class': {int(i): float(iou[i]) for i in np.flatnonzero(present)}}


def evaluate(net, data, device='cpu'):
    net = net.eval().to(device).to(memory_format=torch.channels_last)
    began = time.time()
    figures = (evaluate_detection if net.task == 'det' else evaluate_segmentation)(net, data, device)
    return {**figures, 'seconds': round(time.time() - began, 1)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('networks', nargs='+', help='checkpoints or exported .safetensors')
    p.add_argument('--data', required=True)
    p.add_argument('--out', help='JSON file; figures of further networks are added to it')
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    p.add_argument('--threads', type=int, default=0)
    args = p.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    kept = read_json(args.out) if args.out and os.path.exists(args.out) else {}
    for path in args.networks:
        net, about = load_any(path)
        name = os.path.splitext(os.path.basename(path))[0]
        kept[name] = evaluate(net, args.data, args.device)
        print(name, *(f'{k} {100 * v:.1f}' for k, v in kept[name].items() if k in ('AP', 'AP50', 'AP75', 'mIoU', 'pixel')),
              'on', kept[name]['images'], 'images', flush=True)
        if args.out:
            write_json(args.out, kept, indent=1)


if __name__ == '__main__':
    main()
