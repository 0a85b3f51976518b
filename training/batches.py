"""What a training step takes: pixels, the teacher's word on exactly these pixels, ground truth."""
import torch

from crops import Crops, collate_detection, collate_segmentation, mixup, mosaic


def normalised(images):
    """uint8 or float [B, 3, H, W] in 0..255 -> [-1, 1], channels last in memory."""
    return images.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def ask_teacher(teacher, x, names=()):
    """-> {'encodings', 'logits'} or {'logits'}, and the named maps, all float32."""
    gpu = x.is_cuda
    with torch.autocast(x.device.type, torch.float16 if gpu else torch.bfloat16, enabled=gpu):
        y, maps = teacher(x, with_maps=True)
    out = {k: maps[k].float() for k in names}
    if teacher.task == 'det':
        return {**out, 'encodings': y[0].float(), 'logits': y[1].float()}
    return {**out, 'logits': y.float()}


class Batches:
    """Endless (images [B, 3, s, s] 0..255, teacher's outputs or None, truth or None).

    With a teacher, `mosaic` and `mixup` are the shares of batches that are mixed (the teacher labels them like any
    other), and every batch is used `echo` times, never twice in a row: half the teacher's cost at echo 2."""
    HOLD = 6

    def __init__(self, photos, task, size, batch, device, teacher=None, names=(), mosaic=0.3, mixup=0.0, echo=1, boost=2,
                 workers=0, seed=0):
        crops = Crops(photos, task, size, seed, boost)
        if not crops.photos:
            raise SystemExit('every photo is held out: none is left to train on')
        more = {'persistent_workers': True, 'prefetch_factor': 4} if workers else {}
        self.source = iter(torch.utils.data.DataLoader(
            crops, batch, num_workers=workers, drop_last=True, pin_memory=device.type == 'cuda',
            collate_fn=collate_detection if task == 'det' else collate_segmentation, **more))
        self.device, self.teacher, self.names = device, teacher, names
        self.mosaic, self.mixup, self.echo = (mosaic, mixup, echo) if teacher else (0.0, 0.0, 1)
        self.held, self.turn = [], 0

    def fresh(self):
        images, truth = next(self.source)
        images = images.to(self.device, non_blocking=True)
        draw = float(torch.rand(()))
        if draw < self.mosaic + self.mixup:
            images, truth = (mosaic(images) if draw < self.mosaic else mixup(images)), None
        elif isinstance(truth, tuple):
            truth = tuple(v.to(self.device, non_blocking=True) for v in truth)
        else:
            truth = truth.to(self.device, non_blocking=True)
        said = ask_teacher(self.teacher, normalised(images), self.names) if self.teacher else None
        return images, said, truth

    def __next__(self):
        if self.echo == 1:
            return self.fresh()
        self.turn += 1
        if len(self.held) < self.HOLD or self.turn % self.echo == 0:
            batch = self.fresh()
            self.held.append([batch, self.echo - 1])
            return batch
        k = int(torch.randint(len(self.held) - 1, ()))  # not the newest
        entry = self.held[k]
        entry[1] -= 1
        if entry[1] == 0:
            del self.held[k]
        return entry[0]
