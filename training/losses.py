"""Training losses: towards a teacher's outputs and maps, and towards ground truth where a photo has it."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from anchors import encode, match
from categories import IGNORE


def quality_bce(logits, target, power=2.0):
    """Binary cross entropy against soft scores, weighted by how far off the student is (Li et al. 2020)."""
    error = (target - torch.sigmoid(logits)).abs().pow(power)
    return error * F.binary_cross_entropy_with_logits(logits, target, reduction='none')


def map_loss(x, wanted):
    """Mean squared error of a map, each channel in units of the wanted map's variance."""
    variance = wanted.var((0, 2, 3), unbiased=False).clamp(min=1e-2)
    return ((x - wanted) ** 2).mean((0, 2, 3)).div(variance).clamp(max=20).mean()


def detection_distillation(encodings, logits, teacher):
    """teacher: {'encodings', 'logits'} of the same pixels, all 1917 anchors."""
    target = torch.sigmoid(teacher['logits'])
    foreground = target[..., 1:].amax(-1)
    weight = foreground * (foreground > 0.05)
    distance = F.smooth_l1_loss(encodings, teacher['encodings'], reduction='none', beta=0.5).sum(-1)
    return {'class': 4 * quality_bce(logits[..., 1:], target[..., 1:]).sum() / foreground.sum().clamp(min=1.0),
            'background': F.binary_cross_entropy_with_logits(logits[..., 0], target[..., 0]),
            'box': (distance * weight).sum() / weight.sum().clamp(min=1.0)}


def detection_truth(encodings, logits, truth, anchors):
    """Focal loss (Lin et al. 2017) and smooth L1 on matched anchors. truth: (boxes [B, n, 4], classes [B, n] with 0 for
    padding and -1 for unjudged, known [B])."""
    boxes, classes, known = truth
    positives, class_loss, box_loss = 1.0, 0.0, 0.0
    for i in torch.nonzero(known).flatten().tolist():
        label, box = match(boxes[i], classes[i], anchors)
        positive = label > 0
        hot = F.one_hot(label.clamp(min=0), logits.shape[-1])[..., 1:].to(logits.dtype)
        z = logits[i][..., 1:]
        probability = torch.sigmoid(z)
        right = torch.where(hot > 0, probability, 1 - probability)
        balance = torch.where(hot > 0, 0.25, 0.75)
        focal = F.binary_cross_entropy_with_logits(z, hot, reduction='none') * balance * (1 - right) ** 2
        class_loss = class_loss + focal[label >= 0].sum()
        if positive.any():
            box_loss = box_loss + F.smooth_l1_loss(encodings[i][positive], encode(box[positive], anchors[positive]),
                                                   reduction='none', beta=0.5).sum()
        positives += float(positive.sum())
    return (class_loss + 0.5 * box_loss) / positives


def segmentation_distillation(logits, teacher):
    """Kullback-Leibler divergence at 1/16; pixels where the teacher sees an object count three times."""
    wanted, mine = F.log_softmax(teacher['logits'], 1), F.log_softmax(logits, 1)
    divergence = (wanted.exp() * (wanted - mine)).sum(1)
    weight = 1 + 2 * (wanted.argmax(1) > 0).float()
    return {'divergence': (divergence * weight).sum() / weight.sum()}


def segmentation_truth(logits, mask):
    """Cross entropy at half the mask's resolution."""
    up = F.interpolate(logits, mask.shape[-2:], mode='bilinear', align_corners=True)[..., ::2, ::2]
    return F.cross_entropy(up, mask[..., ::2, ::2].long(), ignore_index=IGNORE)


class Adapter(nn.Module):
    """1x1 map from a student's map to a teacher's of another width; lives in training only. It starts from a regression
    (matrix, bias) or as the identity on kept channels [student channels]."""

    def __init__(self, inputs, outputs, hint=None):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)
        with torch.no_grad():
            self.conv.weight.mul_(0.1)
            self.conv.bias.zero_()
            if isinstance(hint, tuple):
                self.conv.weight.copy_(hint[0][:, :, None, None])
                self.conv.bias.copy_(hint[1])
            elif hint is not None:
                self.conv.weight[:, torch.arange(len(hint))] = 0
                self.conv.weight[hint, torch.arange(len(hint)), 0, 0] = 1

    def forward(self, x):
        return self.conv(x)


class MapMatching(nn.Module):
    """Which of the student's maps follow which of the teacher's, and through what.

    A student laid out from a network of the teacher's kind keeps to it stage by stage: its first channels are the
    teacher's. A student of another kind follows only the last maps, through an adapter."""

    def __init__(self, student, teacher, hint=None):
        super().__init__()
        same_kind = hasattr(student.backbone, 'final') == hasattr(teacher.backbone, 'final') and \
            student.backbone.stages == teacher.backbone.stages
        last = 'c5' if student.task == 'det' else 'seg'
        self.direct = (['c4', 'c5'] if student.task == 'det' else ['seg', 'hidden']) if same_kind else \
            ([] if student.task == 'det' else ['hidden'])
        if same_kind:
            self.direct += [f's{i}' for i in student.backbone.stages if i > 2]
        widths = student.backbone.channels[last], teacher.backbone.channels[last]
        self.adapter = None if same_kind else Adapter(*widths, hint)
        self.last = last

    def names(self):
        return self.direct + ([self.last] if self.adapter else [])

    def forward(self, maps, wanted):
        """-> {'map.<name>': loss}; both dicts hold float32 maps."""
        out = {f'map.{k}': map_loss(maps[k].float()[:, :wanted[k].shape[1]], wanted[k]) for k in self.direct}
        if self.adapter:
            out[f'map.{self.last}'] = map_loss(self.adapter(maps[self.last].float()), wanted[self.last])
        return out
