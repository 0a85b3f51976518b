"""Trains a catalogued network: distilled from a teacher, on ground truth, or both. See README.md for whole examples.

  python3 train.py --name ssdlite_mnasnet_a1_coco --teacher teachers/ssdlite_mobilenet_v2_coco.safetensors \\
      --boxes photos/instances.json --plain more-photos --steps 3000 --out runs
  python3 train.py --name ssdlite_shufflenet_v2_mine --init weights/ssdlite_shufflenet_v2_coco.safetensors \\
      --boxes mine/instances.json --steps 300 --out runs

The schedule counts steps, so a paused or slowed process loses nothing: a short warm-up, a constant rate, and a linear
cooldown over the last --cooldown steps. SIGTERM or Ctrl-C saves and ends; --resume goes on, also with a larger --steps.
Writes OUT/NAME.pt (averaged weights), OUT/NAME.resume (what --resume needs) and OUT/NAME.log.
"""
import argparse
import copy
import os
import signal
import time

import torch
import torch.nn as nn

from anchors import ssd_anchors
from batches import Batches, normalised
from crops import sample_batches
from folders import detection_classes, gather, segmentation_classes
from initial import starting_network
from losses import MapMatching, detection_distillation, detection_truth, segmentation_distillation, segmentation_truth
from network import CROP, Network, load_state, parse_name
from regression import calibrate
from tensors import read_tensors
from validation import Validation
from weights import load_any, load_teacher, save_checkpoint

WEIGHTS = {'background': 0.1, 'map': 0.5}  # of single losses; all others count once


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--name', required=True, help='<ssdlite|deeplabv3>_<backbone>_<data set>')
    p.add_argument('--out', default='runs')
    p.add_argument('--resume', action='store_true', help='go on where NAME.resume ended; starts afresh without one')
    start = p.add_argument_group('what to start from')
    start.add_argument('--init', help='checkpoint or exported .safetensors: all tensors that fit')
    start.add_argument('--teacher', help='checkpoint or exported .safetensors to distil from')
    start.add_argument('--trunk', help='.safetensors with backbone weights (starting ShuffleNetV2 from a teacher)')
    start.add_argument('--sample', type=int, default=96, help='photos on which starting weights are regressed')
    data = p.add_argument_group('photos')
    data.add_argument('--boxes', help='COCO-format instances.json')
    data.add_argument('--images', help='its photos, or those of --masks; default: images/ beside instances.json')
    data.add_argument('--masks', help='folder of VOC-format masks')
    data.add_argument('--classes', help='text file, one class a line, background first (masks that are not VOC\'s)')
    data.add_argument('--plain', nargs='*', default=[], help='folders of unlabelled photos (need a teacher)')
    data.add_argument('--held-out', default='0.1', help='file with names, or a fraction of the labelled photos')
    data.add_argument('--boost', type=int, default=2, help='labelled photos come this many times as often')
    run = p.add_argument_group('training')
    run.add_argument('--steps', type=int, required=True)
    run.add_argument('--cooldown', type=int, help='default: a third of the steps')
    run.add_argument('--batch', type=int, default=16)
    run.add_argument('--size', type=int, default=0, help='pixels of a crop; default 300 for boxes, 321 for masks')
    run.add_argument('--lr', type=float, default=3e-4)
    run.add_argument('--head-lr', type=float, default=1.0, help='factor on the rate of the head')
    run.add_argument('--weight-decay', type=float, default=0.02)
    run.add_argument('--ema', type=float, default=0.99, help='decay of the averaged weights')
    run.add_argument('--freeze', type=int, default=0, help='leave the stem and the stages up to this one as they are')
    run.add_argument('--bn', choices=('frozen', 'train'), default='frozen',
                     help='frozen: keep the statistics, train scale and shift')
    run.add_argument('--recalibrate', action='store_true', help='measure BatchNorm statistics before training')
    run.add_argument('--truth', type=float, help='weight of ground truth; default 0.25 beside a teacher, else 1')
    run.add_argument('--mosaic', type=float, default=0.3, help='share of four-photo mosaics (with a teacher)')
    run.add_argument('--mixup', type=float, default=0.0, help='share of mixed batches (with a teacher)')
    run.add_argument('--echo', type=int, default=1, help='uses of every batch the teacher labelled')
    run.add_argument('--seed', type=int, default=1)
    run.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    run.add_argument('--threads', type=int, default=0)
    run.add_argument('--workers', type=int, default=1, help='processes that decode photos; 0: none')
    run.add_argument('--report', type=int, default=50, help='steps between lines of the log')
    run.add_argument('--validate', type=int, default=200, help='steps between checkpoints and held-out figures')
    return p.parse_args()


class Average:
    """Exponential moving average of all float entries of a state dict."""

    def __init__(self, net):
        self.state = {k: v.detach().clone().float() for k, v in net.state_dict().items() if v.is_floating_point()}

    @torch.no_grad()
    def update(self, net, decay):
        now = net.state_dict()
        mine = list(self.state.values())
        torch._foreach_mul_(mine, decay)
        torch._foreach_add_(mine, [now[k] for k in self.state], alpha=1 - decay)


def fitting(net, source, names=None, old_names=None):
    """Tensors of `source` that `net` can take. The class columns of a detector are carried over by category name."""
    mine, theirs = net.state_dict(), source.state_dict()
    out = {k: v for k, v in theirs.items() if k in mine and mine[k].shape == v.shape}
    if net.task == source.task == 'det' and net.columns != source.columns and names:
        by_name = {v: int(k) for k, v in old_names.items()}
        pairs = [(0, 0)] + [(int(k), by_name[v]) for k, v in names.items() if v in by_name]
        to, at = (torch.tensor(v) for v in zip(*pairs))
        rest = [i for i in range(1, net.columns) if i not in set(to.tolist())]
        for level in range(6):
            for part in ('weight', 'bias'):
                key = f'head.cls.{level}.predict.{part}'
                old = theirs[key].reshape(-1, source.columns, *theirs[key].shape[1:])
                new = mine[key].reshape(-1, net.columns, *mine[key].shape[1:]).clone()
                new[:, rest] = old[:, [int(k) for k in old_names]].mean(1, keepdim=True)
                new[:, to] = old[:, at]
                out[key] = new.reshape(mine[key].shape)
    return out


def freeze_stages(net, last):
    """-> the modules that stay as they are."""
    if not last:
        return []
    parts = [net.backbone.stem] + [getattr(net.backbone, f'stage{i}') for i in net.backbone.stages if i <= last]
    for part in parts:
        part.requires_grad_(False)
    return parts


def set_modes(net, frozen, bn):
    """Training mode, but for BatchNorm that shall keep its statistics: all of it, or the frozen stages' and that of
    maps with too few pixels in a batch (3x3, 2x2 and 1x1 cells, and DeepLab's pooled map)."""
    net.train()
    if bn == 'frozen':
        small = [net]
    elif net.task == 'det':
        small = list(net.head.extras)[1:] + list(net.head.box)[3:] + list(net.head.cls)[3:]
    else:
        small = [net.head.pool]
    for part in small + frozen:
        for module in part.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def optimizer_for(net, matching, args):
    groups = {}
    for name, p in [*net.named_parameters(), *(('matching.' + n, p) for n, p in matching.named_parameters())]:
        if not p.requires_grad:
            continue
        head = not name.startswith('backbone') or name.startswith('backbone.final')
        spread = p.ndim > 1 and p.shape[1] > 1  # neither BatchNorm, bias nor depthwise kernel
        key = args.lr * (args.head_lr if head else 1.0), args.weight_decay if spread else 0.0
        groups.setdefault(key, []).append(p)
    return torch.optim.AdamW([{'params': ps, 'lr': lr, 'base': lr, 'weight_decay': wd} for (lr, wd), ps in
                              groups.items()], betas=(0.9, 0.98))


def rate(step, since, steps, cooldown):
    """Factor on the learning rate; `since`: steps of this call, for a warm-up after every start."""
    return min(1.0, (since + 1) / 40) * max(0.01, min(1.0, (steps - step) / max(1, cooldown)))


def describe(args, photos, classes, backbone, task, provenance, steps, crops, seconds):
    """The variable part of a record; export.py turns it into the published one."""
    return {'name': args.name, 'backbone': backbone, 'task': task, 'classes': classes, 'provenance': provenance,
            'training': {'photos': len(photos), 'held_out_of_these': sum(p.held_out for p in photos),
                         'with_ground_truth': sum((p.boxes if task == 'det' else p.mask_path) is not None
                                                  for p in photos),
                         'crops_seen': crops, 'steps': steps, 'cpu_seconds': round(seconds),
                         'device': args.device, 'method': 'distillation' if args.teacher else 'ground truth'}}


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    backbone, task = parse_name(args.name)
    size = args.size or CROP[task]
    cooldown = args.steps // 3 if args.cooldown is None else args.cooldown
    os.makedirs(args.out, exist_ok=True)
    base = os.path.join(args.out, args.name)
    log = open(base + '.log', 'a')

    def say(*words):
        line = time.strftime('%H:%M:%S ') + ' '.join(str(w) for w in words)
        print(line, flush=True)
        log.write(line + '\n')
        log.flush()

    stopped = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.append(True))

    held_out = args.held_out if os.path.exists(args.held_out) else float(args.held_out)
    photos, names = gather(task, args.boxes, args.images, args.masks, args.plain, held_out)
    teacher = load_teacher(args.teacher).to(device).to(memory_format=torch.channels_last) if args.teacher else None
    if teacher is None and not any((p.boxes if task == 'det' else p.mask_path) for p in photos):
        raise SystemExit('no photo has ground truth, and there is no teacher')
    if task == 'det':
        classes = detection_classes(names)
    else:
        classes = segmentation_classes(open(args.classes).read().split('\n') if args.classes else None)
        classes['names'] = [n for n in classes['names'] if n]
        classes['count'] = len(classes['names'])

    saved = torch.load(base + '.resume', map_location='cpu') if args.resume and os.path.exists(base + '.resume') else None
    hint, step, crops, seconds, provenance = None, 0, 0, 0.0, []
    if saved:
        net = load_state(Network(backbone, task, classes['count']), saved['net'])
        hint, step, crops, provenance = saved['hint'], saved['step'], saved['crops'], saved['provenance']
        seconds = saved['seconds']
        say('resumed at step', step)
    elif args.init:
        source, about = load_any(args.init)
        net = Network(backbone, task, classes['count'])
        taken = fitting(net, source, classes.get('names'), about['classes'].get('names'))
        net.load_state_dict(taken, strict=False)
        provenance = about['provenance'] + [f'start: {os.path.basename(args.init)}']
        hint = about.get('hint')
        say('started from', args.init, f'({len(taken)} of {len(net.state_dict())} tensors)')
    elif teacher:
        began = time.time()
        trunk = None
        if args.trunk:
            trunk = {k: torch.from_numpy(v).float() for k, v in read_tensors(args.trunk)[0].items()}
            trunk = {k[len('backbone.'):] if k.startswith('backbone.') else k: v for k, v in trunk.items()}
            wanted = Network(backbone, task).backbone.state_dict()
            trunk = {(k if k in wanted else k[:-len('weight')] + 'conv.weight'): v for k, v in trunk.items()}
        net, hint = starting_network(backbone, teacher.cpu(), sample_batches(photos, args.sample, size), trunk)
        teacher.to(device)
        provenance = [f'teacher and start: {os.path.basename(args.teacher)}'] + \
            ([f'backbone start: {os.path.basename(args.trunk)}'] if args.trunk else [])
        say('starting weights made in', round(time.time() - began), 's')
    else:
        net = Network(backbone, task, classes['count'])
        say('starting from random weights: expect little of a few steps')
    if args.recalibrate and not saved:
        calibrate(net, sample_batches(photos, args.sample, size))

    net = net.to(device).to(memory_format=torch.channels_last).requires_grad_(True)
    matching = (MapMatching(net, teacher, hint) if teacher else nn.Module()).to(device)
    map_names = matching.names() if teacher else []
    frozen = freeze_stages(net, args.freeze)
    optimizer, average = optimizer_for(net, matching, args), Average(net)
    if saved:
        matching.load_state_dict(saved['matching'])
        optimizer.load_state_dict(saved['optimizer'])
        average.state = {k: v.to(device) for k, v in saved['average'].items()}
    anchors = ssd_anchors().to(device)
    batches = Batches(photos, task, size, args.batch, device, teacher, map_names, args.mosaic, args.mixup, args.echo,
                      args.boost, args.workers, args.seed * 1000 + step)
    validation = Validation(photos, task, size, device, teacher, matching, anchors)
    shadow = copy.deepcopy(net)
    truth_weight = args.truth if args.truth is not None else 0.25 if teacher else 1.0
    gpu = device.type == 'cuda'
    say(sum(p.numel() for p in net.parameters()), 'parameters,', len(photos), 'photos,',
        sum(p.held_out for p in photos), 'held out,', args.steps, 'steps of', args.batch, 'on', device)
    base_seconds, first_step, began = seconds, step, time.process_time()

    def save():
        """-> the held-out figures of what was saved."""
        nonlocal seconds
        seconds = base_seconds + time.process_time() - began
        about = describe(args, photos, classes, backbone, task, provenance, step, crops, seconds)
        save_checkpoint(base + '.pt', average.state, about)
        torch.save({'net': net.state_dict(), 'average': average.state, 'matching': matching.state_dict(),
                    'optimizer': optimizer.state_dict(), 'hint': hint, 'step': step, 'crops': crops,
                    'provenance': provenance, 'seconds': seconds}, base + '.resume.part')
        os.replace(base + '.resume.part', base + '.resume')
        load_state(shadow, average.state)
        figures = validation(shadow)
        if figures:
            say('held out:', ' '.join(f'{k} {v:.4f}' for k, v in figures.items()))

    if not saved:
        save()
    sums, since_report = {}, 0
    while step < args.steps and not stopped:
        set_modes(net, frozen, args.bn)
        factor = rate(step, step - first_step, args.steps, cooldown)
        for group in optimizer.param_groups:
            group['lr'] = group['base'] * factor
        images, said, truth = next(batches)
        with torch.autocast(device.type, torch.bfloat16, enabled=gpu):
            y, maps = net(normalised(images), with_maps=True)
        losses = {}
        if task == 'det':
            encodings, logits = y[0].float(), y[1].float()
            if said:
                losses.update(detection_distillation(encodings, logits, said))
            if truth_weight and truth is not None and truth[2].any():
                losses['truth'] = detection_truth(encodings, logits, truth, anchors)
        else:
            logits = y.float()
            if said:
                losses.update(segmentation_distillation(logits, said))
            if truth_weight and truth is not None and (truth != 255).any():
                losses['truth'] = segmentation_truth(logits, truth)
        if said:
            losses.update(matching(maps, said))
        if not losses:
            continue  # no photo of this batch has ground truth
        total = sum(v * (truth_weight if k == 'truth' else WEIGHTS.get(k.split('.')[0], 1.0))
                    for k, v in losses.items())
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        if torch.isfinite(norm):
            optimizer.step()
        else:
            say('step', step, 'left out: the gradient is not finite')
        step, crops = step + 1, crops + len(images)
        average.update(net, min(args.ema, (step - first_step + 1) / (step - first_step + 10)) if not saved else args.ema)
        for k, v in [*losses.items(), ('total', total)]:
            entry = sums.setdefault(k, [0.0, 0])
            entry[0], entry[1] = entry[0] + v.detach(), entry[1] + 1
        since_report += 1
        if since_report >= args.report:
            say('step', step, f'rate x{factor:.2f}', ' '.join(f'{k} {float(a) / n:.4f}' for k, (a, n) in sums.items()))
            sums, since_report = {}, 0
        if step % args.validate == 0 and step < args.steps:
            save()
    save()
    say('finished' if step >= args.steps else 'stopped', 'at step', step, 'after', crops, 'crops and', round(seconds),
        's of processor time')


if __name__ == '__main__':
    main()
