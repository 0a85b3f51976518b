"""A backbone with a head, and the catalogue's names: <head>_<backbone>_<dataset>."""
import torch.nn as nn

from backbones import BACKBONES, build_backbone
from categories import VOC
from heads import DeepLabHead, SSDLiteHead

CATALOGUE_BACKBONES = dict(zip(('mobilenet_v2', 'shufflenet_v2', 'mnasnet_a1'), BACKBONES))
COCO_COLUMNS = 91
INPUT = {'det': 300, 'seg': 513}
# What a training crop is resized to. DeepLabv3 is fully convolutional; 16n + 1 keeps corners aligned.
CROP = {'det': 300, 'seg': 321}


def parse_name(name):
    """'ssdlite_mnasnet_a1_coco' -> ('mnasnet_a1', 'det'). The data set part may be any word."""
    head, _, rest = name.partition('_')
    for label, backbone in CATALOGUE_BACKBONES.items():
        if rest.startswith(label + '_') and head in ('ssdlite', 'deeplabv3'):
            return backbone, 'det' if head == 'ssdlite' else 'seg'
    raise SystemExit(f'{name}: expected ssdlite_ or deeplabv3_, then {", ".join(CATALOGUE_BACKBONES)}, then _ and a '
                     'word for the data set')


class Network(nn.Module):
    """task 'det': image [B, 3, 300, 300] -> (box encodings [B, 1917, 4], class logits [B, 1917, columns]).
    task 'seg': image [B, 3, 16n + 1, 16m + 1] -> logits [B, columns, n + 1, m + 1], at 1/16 of the image."""

    def __init__(self, backbone, task, columns=None):
        super().__init__()
        self.name, self.task = backbone, task
        self.columns = columns or (COCO_COLUMNS if task == 'det' else len(VOC))
        self.backbone = build_backbone(backbone, 32 if task == 'det' else 16, final=task == 'det')
        width = self.backbone.channels
        self.head = SSDLiteHead(width['c4'], width['c5'], self.columns) if task == 'det' else \
            DeepLabHead(width['seg'], self.columns)

    def forward(self, x, with_maps=False):
        maps = self.backbone(x)
        y = self.head(maps)
        return (y, maps) if with_maps else y


def load_state(net, state):
    """Loads a state dict of any float type; BatchNorm's batch counters may be missing."""
    state = {k: v.float() for k, v in state.items() if 'num_batches' not in k}
    missing, extra = net.load_state_dict(state, strict=False)
    missing = [k for k in missing if 'num_batches' not in k]
    if missing or extra:
        raise ValueError(f'weights do not fit: missing {missing[:3]}, unknown {extra[:3]}')
    return net
