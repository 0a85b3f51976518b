"""MobileNetV2 1.0, MnasNet-A1 1.0 and ShuffleNetV2 1.0x.

A backbone maps an image [B, 3, H, W] in [-1, 1] to a dict of maps:
  c4   what SSDLite reads at stride 16,
  c5   what SSDLite reads at stride 32 (absent without the last 1x1 convolution),
  seg  what DeepLabv3 reads,
  s<i> the output of stage i.
Where a stride would exceed `output_stride` that block keeps its dilation and the following ones take twice that.
Padding is TensorFlow's SAME in MobileNetV2 and MnasNet-A1, and symmetric in ShuffleNetV2.
"""
import torch.nn as nn
import torch.nn.functional as F

from layers import ConvBN, InvertedResidual, ShuffleUnit

# Stages as (expand factor, kernel, channels, blocks, first stride, squeeze-excite ratio).
MOBILE_STAGES = {
    'mobilenetv2': ('relu6', [(1, 3, 16, 1, 1, 0), (6, 3, 24, 2, 2, 0), (6, 3, 32, 3, 2, 0), (6, 3, 64, 4, 2, 0),
                              (6, 3, 96, 3, 1, 0), (6, 3, 160, 3, 2, 0), (6, 3, 320, 1, 1, 0)]),
    'mnasnet_a1': ('relu', [(1, 3, 16, 1, 1, 0), (6, 3, 24, 2, 2, 0), (3, 5, 40, 3, 2, .25), (6, 3, 80, 4, 2, 0),
                            (6, 3, 112, 2, 1, .25), (6, 5, 160, 3, 2, .25), (6, 3, 320, 1, 1, 0)]),
}
SHUFFLE_STAGES = ((116, 4), (232, 8), (464, 4))  # (channels, units); ShuffleNetV2 counts its stages from 2
BACKBONES = ('mobilenetv2', 'shufflenetv2', 'mnasnet_a1')
TITLES = {'mobilenetv2': 'MobileNetV2 1.0', 'shufflenetv2': 'ShuffleNetV2 1.0x', 'mnasnet_a1': 'MnasNet-A1 1.0'}


class MobileBackbone(nn.Module):
    """A stem, seven stages of inverted residuals and, for detection, a 1x1 convolution to 1280 channels."""
    stages = tuple(range(1, 8))

    def __init__(self, name, output_stride=32, final=True):
        super().__init__()
        activation, stages = MOBILE_STAGES[name]
        self.stem = ConvBN(3, 32, 3, 2, activation=activation)
        width, reached, dilation = 32, 2, 1
        for i, (expand, kernel, channels, blocks, first_stride, squeeze) in enumerate(stages, 1):
            stage = nn.ModuleList()
            for b in range(blocks):
                stride, here = (first_stride if b == 0 else 1), dilation
                if stride == 2 and reached == output_stride:
                    stride, dilation = 1, dilation * 2
                else:
                    reached *= stride
                stage.append(InvertedResidual(width, channels, kernel, stride, expand, here, squeeze, activation))
                width = channels
            setattr(self, f'stage{i}', stage)
        if final:
            self.final = ConvBN(320, 1280, activation=activation)
        self.channels = {'c4': self.stage6[0].expand.conv.out_channels, 'c5': 1280, 'seg': 320}

    def forward(self, x):
        maps = {}
        x = self.stem(x)
        for i in self.stages:
            for j, block in enumerate(getattr(self, f'stage{i}')):
                if i == 6 and j == 0:  # the expansion layer of the block that goes to stride 32
                    maps['c4'] = block.expanded(x)
                    y = block.depthwise(maps['c4'])
                    x = block.project(block.se(y) if hasattr(block, 'se') else y)
                else:
                    x = block(x)
            maps[f's{i}'] = x
        maps['seg'] = x
        if hasattr(self, 'final'):
            maps['c5'] = self.final(x)
        return maps


class ShuffleNetV2(nn.Module):
    """A stem, a max-pool, three stages of shuffle units and, for detection, a 1x1 convolution to 1024 channels."""
    stages = (2, 3, 4)

    def __init__(self, output_stride=32, final=True):
        super().__init__()
        self.stem = ConvBN(3, 24, 3, 2, activation='relu', tf_same=False)
        width, reached, dilation = 24, 4, 1
        for i, (channels, units) in zip(self.stages, SHUFFLE_STAGES):
            stage = nn.ModuleList()
            for u in range(units):
                stride, here = (2 if u == 0 else 1), dilation
                if stride == 2 and reached == output_stride:
                    stride, dilation = 1, dilation * 2
                else:
                    reached *= stride
                stage.append(ShuffleUnit(width, channels, stride, here, down=u == 0))
                width = channels
            setattr(self, f'stage{i}', stage)
        if final:
            self.final = ConvBN(464, 1024, activation='relu')
        self.channels = {'c4': 232, 'c5': 1024, 'seg': 464}

    def pooled_stem(self, x):
        return F.max_pool2d(self.stem(x), 3, 2, 1)

    def forward(self, x):
        maps = {}
        x = self.pooled_stem(x)
        for i in self.stages:
            for unit in getattr(self, f'stage{i}'):
                x = unit(x)
            maps[f's{i}'] = x
        maps['c4'], maps['seg'] = maps['s3'], x
        if hasattr(self, 'final'):
            maps['c5'] = self.final(x)
        return maps


def build_backbone(name, output_stride, final):
    return ShuffleNetV2(output_stride, final) if name == 'shufflenetv2' else MobileBackbone(name, output_stride, final)
