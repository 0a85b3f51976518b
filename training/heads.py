"""SSDLite (Sandler et al. 2018) and the mobile form of DeepLabv3 (Chen et al. 2017). Padding is TensorFlow's SAME."""
import torch
import torch.nn as nn

from anchors import PER_CELL
from layers import ConvBN


class Predictor(nn.Module):
    """Depthwise 3x3, then 1x1 with bias."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.depthwise = ConvBN(inputs, inputs, 3, groups=inputs)
        self.predict = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return self.predict(self.depthwise(x))


class ExtraLayer(nn.Module):
    """Halves the map: 1x1 to half the width, depthwise 3x3 with stride 2, 1x1."""

    def __init__(self, inputs, outputs):
        super().__init__()
        middle = outputs // 2
        self.reduce = ConvBN(inputs, middle)
        self.depthwise = ConvBN(middle, middle, 3, 2, middle)
        self.project = ConvBN(middle, outputs)

    def forward(self, x):
        return self.project(self.depthwise(self.reduce(x)))


class SSDLiteHead(nn.Module):
    """maps c4 and c5 -> (box encodings [B, 1917, 4], class logits [B, 1917, columns]); column 0 is background."""

    def __init__(self, c4, c5, columns):
        super().__init__()
        widths = [c4, c5, 512, 256, 256, 128]
        self.columns = columns
        self.extras = nn.ModuleList(ExtraLayer(widths[i], widths[i + 1]) for i in range(1, 5))
        self.box = nn.ModuleList(Predictor(w, n * 4) for w, n in zip(widths, PER_CELL))
        self.cls = nn.ModuleList(Predictor(w, n * columns) for w, n in zip(widths, PER_CELL))

    def pyramid(self, maps):
        """The six maps the predictors read, 19 10 5 3 2 1 cells wide for 300 pixels."""
        levels = [maps['c4'], maps['c5']]
        for extra in self.extras:
            levels.append(extra(levels[-1]))
        return levels

    def forward(self, maps):
        levels = self.pyramid(maps)

        def flat(predictors, size):
            return torch.cat([p(m).permute(0, 2, 3, 1).reshape(m.shape[0], -1, size)
                              for p, m in zip(predictors, levels)], 1)
        return flat(self.box, 4), flat(self.cls, self.columns)


class DeepLabHead(nn.Module):
    """Image pooling beside a 1x1 branch, concatenated (pool first), projected, classified -> logits at the stride of
    the map it reads. Leaves its last hidden map in maps['hidden'] for feature matching."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.pool = ConvBN(inputs, 256, activation='relu')
        self.branch = ConvBN(inputs, 256, activation='relu')
        self.project = ConvBN(512, 256, activation='relu')
        self.classify = nn.Conv2d(256, classes, 1)

    def joined(self, x):
        pooled = self.pool(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return torch.cat((pooled, self.branch(x)), 1)

    def forward(self, maps):
        maps['hidden'] = self.project(self.joined(maps['seg']))
        return self.classify(maps['hidden'])
