"""Checkpoints -> what the server loads: NAME.safetensors (float16), NAME.json (record), NAME.reference.safetensors.

  python3 export.py runs/ssdlite_shufflenet_v2_mine.pt --out weights

The reference holds pixels and the outputs that the float16 weights give for them, so that another implementation can be
compared with this one. --reference takes the pixels from an older reference file; without it they are drawn with a seed.
--figures and --before take the JSON that evaluate.py --out writes: figures of this network and of an earlier one.
"""
import argparse
import os

import numpy as np
import torch

from network import INPUT
from record import make_record
from tensors import read_json, read_tensors, write_json, write_tensors
from weights import exported_tensors, load_any, load_exported

NOTE = 'pixels NHWC 0..255; outputs of the fp16-rounded weights computed in float32'
FIGURES = ('AP', 'AP50', 'AP75', 'mIoU', 'pixel')


def drawn_pixels(size):
    """[1, size, size, 3]: seeded rectangles over a gradient, 0..255."""
    rng = np.random.RandomState(7)
    ramp = np.linspace(40, 200, size)
    picture = np.stack([ramp[:, None] + 0 * ramp, 0 * ramp[:, None] + ramp, ramp[::-1][:, None] + 0 * ramp], -1)
    for _ in range(40):
        x, y, w, h = rng.randint(0, size, 2).tolist() + rng.randint(8, size // 3, 2).tolist()
        picture[y:y + h, x:x + w] = rng.randint(0, 256, 3)
    return picture.round()[None].astype(np.float32)


@torch.no_grad()
def reference_outputs(net, pixels):
    """-> {'pixels', then 'box_encodings' and 'class_logits', or 'logits'}, float32."""
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).div(127.5).sub(1)
    y = net.eval()(x)
    outputs = {'box_encodings': y[0], 'class_logits': y[1]} if net.task == 'det' else {'logits': y}
    return {'pixels': pixels, **{k: v.numpy().astype(np.float32) for k, v in outputs.items()}}


def picked(figures):
    return {k: round(v, 4) for k, v in figures.items() if k in FIGURES}


def export(name, net, about, out, pixels=None):
    """Writes the three files; reads the weights back and computes the reference with those."""
    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, name)
    tensors = exported_tensors(net)
    write_tensors(path + '.safetensors', tensors, {'name': f'{net.name}-{net.task}', 'format': 'pt'})
    write_json(path + '.json', make_record(name, net, about, name + '.reference.safetensors'), indent=1)
    rounded, _ = load_exported(path + '.safetensors')
    if pixels is None:
        pixels = drawn_pixels(INPUT[net.task])
    write_tensors(path + '.reference.safetensors', reference_outputs(rounded, pixels), {'model': name, 'note': NOTE})
    return len(tensors), os.path.getsize(path + '.safetensors')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('networks', nargs='+')
    p.add_argument('--out', default='weights')
    p.add_argument('--reference', help='folder with NAME.reference.safetensors whose pixels are used again')
    p.add_argument('--figures', help='JSON of evaluate.py')
    p.add_argument('--before', help='JSON of evaluate.py for the weights these ones started from')
    p.add_argument('--measured-on', default='')
    p.add_argument('--measured-with', default='', help='the command that reproduces the figures')
    p.add_argument('--about', help='JSON file, NAME -> keys of the record (provenance, training, teacher, derived_from)')
    args = p.parse_args()
    for path in args.networks:
        net, about = load_any(path)
        name = os.path.splitext(os.path.basename(path))[0]
        if args.about:
            extra = read_json(args.about).get(name, {})
            about = {**about, **extra, 'training': {**about['training'], **extra.get('training', {})}}
        if args.figures:
            about['measured'] = picked(read_json(args.figures)[name])
        if args.before:
            about['before'] = picked(read_json(args.before).get(name, {}))
        if args.measured_on:
            about['measured_on'] = args.measured_on
        if args.measured_with:
            about['measured_with'] = args.measured_with
        old = os.path.join(args.reference, name + '.reference.safetensors') if args.reference else ''
        pixels = np.array(read_tensors(old)[0]['pixels']) if os.path.exists(old) else None
        count, size = export(name, net, about, args.out, pixels)
        print(name, count, 'tensors', size, 'bytes')


if __name__ == '__main__':
    main()
