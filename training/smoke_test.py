"""Checks the kit from folders to exported files on drawn pictures, in about a minute on two cores. Exits with 1 on failure.

  python3 smoke_test.py [FOLDER to keep the files in]
"""
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from PIL import Image, ImageDraw

from anchors import decode, encode, ssd_anchors
from categories import voc_palette
from coco_ap import average_precision
from export import reference_outputs
from layers import pad_same
from tensors import read_tensors, write_json
from weights import exported_tensors, load_any, load_exported

HERE = os.path.dirname(os.path.abspath(__file__))
CATEGORIES = {1: 'disc', 2: 'block'}
BASE = ['--batch', '8', '--workers', '0', '--threads', '2', '--report', '4', '--validate', '1000', '--held-out', '0.15']


def draw_photos(folder, count=40):
    """Discs and blocks in their colours on noise, with boxes and masks."""
    rng = np.random.RandomState(3)
    for part in ('images', 'masks'):
        os.makedirs(os.path.join(folder, part), exist_ok=True)
    images, annotations = [], []
    for i in range(1, count + 1):
        w, h = 160, 120
        image = Image.fromarray(rng.randint(90, 160, (h, w, 3), np.uint8))
        mask = Image.new('P', (w, h))
        mask.putpalette(voc_palette())
        for _ in range(rng.randint(1, 3)):
            category = int(rng.randint(1, 3))
            size = int(rng.randint(36, 80))
            x, y = int(rng.randint(0, w - size)), int(rng.randint(0, h - size))
            box, colour = (x, y, x + size, y + size), ((230, 40, 30), (20, 60, 230))[category - 1]
            for canvas, fill in ((image, colour), (mask, category)):
                draw = ImageDraw.Draw(canvas)
                (draw.ellipse if category == 1 else draw.rectangle)(box, fill=fill)
            annotations.append({'id': len(annotations) + 1, 'image_id': i, 'category_id': category,
                                'bbox': [x, y, size, size], 'area': size * size, 'iscrowd': 0})
        image.save(f'{folder}/images/{i:03d}.jpg', quality=90)
        mask.save(f'{folder}/masks/{i:03d}.png')
        images.append({'id': i, 'file_name': f'{i:03d}.jpg', 'width': w, 'height': h})
    write_json(f'{folder}/instances.json', {'images': images, 'annotations': annotations, 'categories': [
        {'id': k, 'name': v} for k, v in CATEGORIES.items()]})
    with open(f'{folder}/classes.txt', 'w') as file:
        file.write('\n'.join(['background', *CATEGORIES.values()]) + '\n')


def check(what, true, detail=''):
    print('ok  ' if true else 'FAIL', what, detail, flush=True)
    if not true:
        raise SystemExit(1)


def run(script, *args):
    began = time.time()
    done = subprocess.run([sys.executable, os.path.join(HERE, script), *args], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout)
    check(f'{script} {args[1] if args[0] == "--name" else ""} ends well', done.returncode == 0,
          f'({time.time() - began:.0f} s)')
    return done.stdout


def losses(text, name='total'):
    return [float(v) for v in re.findall(rf'step \d+ .*?{name} ([0-9.]+)', text)]


def check_pieces():
    anchors = ssd_anchors()
    boxes = torch.rand(len(anchors), 2) * 0.5
    boxes = torch.cat((boxes, boxes + 0.05 + torch.rand(len(anchors), 2) * 0.4), 1)
    check('1917 anchors', tuple(anchors.shape) == (1917, 4))
    check('decoding inverts encoding', float((decode(encode(boxes, anchors), anchors) - boxes).abs().max()) < 1e-4)
    check('SAME padding gives ceil(n / stride)', all(
        (pad_same(torch.zeros(1, 1, n, n), k, s).shape[-1] - k) // s + 1 == -(-n // s)
        for n, k, s in ((300, 3, 2), (75, 5, 2), (19, 3, 2), (10, 5, 2), (3, 3, 2), (2, 3, 2))))
    truth = {'images': [{'id': 1}], 'annotations': [
        {'image_id': 1, 'category_id': 1, 'bbox': [10 + 60 * i, 10, 40, 40], 'iscrowd': 0} for i in range(4)]}
    exact = [(1, 0.9, *a['bbox']) for a in truth['annotations']]
    shifted = [(1, 0.9, x + 8, y, w, h) for _, _, x, y, w, h in exact]  # IoU 2/3: right at .50 .55 .60 .65
    check('average precision of exact boxes is 1', average_precision(truth, {1: exact})['AP'] > 0.999)
    check('average precision of shifted boxes is 0.4', abs(average_precision(truth, {1: shifted})['AP'] - 0.4) < 1e-6)


def check_export(folder, name):
    path = os.path.join(folder, name + '.safetensors')
    net, record = load_exported(path)
    tensors, _ = read_tensors(path)
    want = exported_tensors(net)
    check(f'{name}: every tensor is in the file', list(tensors) == list(want) and
          all(tensors[k].shape == want[k].shape and np.isfinite(tensors[k].astype(np.float32)).all() for k in want))
    check(f'{name}: the record is whole', all(k in record for k in (
        'name', 'title', 'task', 'architecture', 'parameters', 'multiply_accumulates', 'normalisation', 'input',
        'classes', 'training', 'provenance', 'reference')) and
        all((k + '.weight') in tensors for k in record['architecture']['layers']))
    stored, _ = read_tensors(os.path.join(folder, name + '.reference.safetensors'))
    again = reference_outputs(net, np.array(stored['pixels']))
    check(f'{name}: the reference outputs come again', all(
        np.allclose(stored[k], again[k], atol=1e-3, rtol=1e-3) for k in stored))


def main():
    began = time.time()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    scratch = None if len(sys.argv) > 1 else tempfile.TemporaryDirectory()
    work = sys.argv[1] if len(sys.argv) > 1 else scratch.name
    photos, runs, weights = (os.path.join(work, d) for d in ('photos', 'runs', 'weights'))
    draw_photos(photos)
    check_pieces()

    detector = 'ssdlite_shufflenet_v2_shapes'
    args = ['--name', detector, '--boxes', f'{photos}/instances.json', '--out', runs, '--bn', 'train', '--lr', '2e-3',
            '--cooldown', '8', '--ema', '0.8', *BASE]
    first = run('train.py', *args, '--steps', '20')
    second = run('train.py', *args, '--steps', '32', '--resume')
    check('a run resumes', 'resumed at step 20' in second and 'finished at step 32' in second)
    fall = losses(first) + losses(second)
    check('the detection loss falls', fall[-1] < 0.5 * fall[0], str(fall))

    segmenter = 'deeplabv3_mobilenet_v2_shapes'
    masks = ['--images', f'{photos}/images', '--masks', f'{photos}/masks', '--classes', f'{photos}/classes.txt',
             '--size', '97', '--out', runs, *BASE]
    text = run('train.py', '--name', segmenter, *masks, '--bn', 'train', '--lr', '2e-3', '--steps', '72', '--ema', '0.8')
    fall = losses(text)
    check('the segmentation loss falls', fall[-1] < 0.6 * fall[0], f'{fall[0]:.2f} to {fall[-1]:.2f}')

    student = 'deeplabv3_mnasnet_a1_shapes'
    text = run('train.py', '--name', student, *masks, '--teacher', f'{runs}/{segmenter}.pt', '--plain',
               f'{photos}/images', '--sample', '32', '--lr', '1e-4', '--steps', '8', '--echo', '2', '--ema', '0.9')
    agreement = [float(v) for v in re.findall(r'agreement ([0-9.]+)', text)]
    check('a student laid out from its teacher agrees with it', agreement[0] > 0.8 and agreement[-1] > 0.8, str(agreement))

    names = (detector, segmenter, student)
    run('export.py', *(f'{runs}/{n}.pt' for n in names), '--out', weights)
    for name in names:
        check_export(weights, name)
    text = run('evaluate.py', *(f'{weights}/{n}.safetensors' for n in names), '--data', photos, '--threads', '2')
    found = re.findall(r'(?:AP|mIoU) [0-9.]+', text)
    check('evaluation gives figures', len(found) == 3, ', '.join(found))
    fine = run('train.py', '--name', 'ssdlite_shufflenet_v2_more', '--init', f'{weights}/{detector}.safetensors', '--boxes',
               f'{photos}/instances.json', '--out', runs, '--steps', '4', *BASE)
    check('fine-tuning starts from an exported file', 'started from' in fine and losses(fine)[0] < 1.5 * min(
        losses(second)), str(losses(fine)))
    print(f'all well, {time.time() - began:.0f} s')


if __name__ == '__main__':
    main()
