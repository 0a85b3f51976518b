"""The figures of a run's `held out` lines: the training losses on photos that it does not train on, without ground
truth in a distillation, and how far the student says what its teacher says. They tell learning from memorising."""
import torch

from batches import ask_teacher, normalised
from crops import collate_detection, collate_segmentation, squashed
from losses import detection_distillation, detection_truth, segmentation_distillation, segmentation_truth

PART = 16


def mean_iou(confusion):
    """[classes, classes], rows: wanted -> mean over the classes that are wanted at all."""
    both = confusion.diag()
    union = confusion.sum(0) + confusion.sum(1) - both
    present = confusion.sum(1) > 0
    return (both / union.clamp(min=1))[present].mean()


class Validation:
    """Holds the photos, squashed whole, and the teacher's outputs for them; call it with a network."""

    def __init__(self, photos, task, size, device, teacher, matching, anchors):
        from PIL import Image
        import numpy as np
        self.task, self.matching, self.anchors, self.parts = task, matching, anchors, []
        photos = [p for p in photos if p.held_out]
        for j in range(0, len(photos), PART):
            rows = []
            for photo in photos[j:j + PART]:
                image = ((squashed(photo, size) + 1) * 127.5)
                if task == 'det':
                    boxes = [[r[2], r[1], r[4], r[3]] for r in photo.boxes or []]
                    classes = [-1 if r[5] else r[0] for r in photo.boxes or []]
                    rows.append((image, boxes, classes, photo.boxes is not None))
                else:
                    mask = photo.mask() or Image.new('L', (1, 1), 255)
                    rows.append((image, torch.from_numpy(np.array(mask.resize((size, size), Image.NEAREST)))))
            images, truth = (collate_detection if task == 'det' else collate_segmentation)(rows)
            x = normalised(images.to(device))
            said = ask_teacher(teacher, x, matching.names()) if teacher else None
            truth = tuple(v.to(device) for v in truth) if task == 'det' else truth.to(device)
            self.parts.append((x, said, truth))

    @torch.no_grad()
    def __call__(self, net):
        """-> {name: figure}, empty without held-out photos."""
        net.eval()
        sums, count, confusion = {}, 0, 0.0
        for x, said, truth in self.parts:
            y, maps = net(x, with_maps=True)
            if said is None:
                losses = {'truth': detection_truth(*y, truth, self.anchors) if self.task == 'det' else
                          segmentation_truth(y, truth)}
            else:
                losses = detection_distillation(*y, said) if self.task == 'det' else segmentation_distillation(y, said)
                losses.update(self.matching(maps, said))
                if self.task == 'seg':
                    pair = said['logits'].argmax(1) * net.columns + y.argmax(1)
                    confusion = confusion + torch.bincount(pair.flatten(), minlength=net.columns ** 2).float()
            for k, v in losses.items():
                sums[k] = sums.get(k, 0.0) + float(v) * len(x)
            count += len(x)
        out = {k: v / count for k, v in sums.items() if v == v}
        if isinstance(confusion, torch.Tensor):
            confusion = confusion.view(net.columns, net.columns)
            out['agreement'] = float(confusion.diag().sum() / confusion.sum())
            out['mIoU against the teacher'] = float(mean_iou(confusion))
        return out
