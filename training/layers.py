"""Building blocks shared by the backbones and heads. All maps are [batch, channels, height, width]."""
import torch
import torch.nn as nn
import torch.nn.functional as F

BN_EPS = 1e-3
BN_MOMENTUM = 0.1


def pad_same(x, kernel, stride, dilation=1):
    """TensorFlow's SAME padding: the output is ceil(size / stride), and an odd pixel of padding goes after."""
    def total(size):
        return max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    high, wide = total(x.shape[-2]), total(x.shape[-1])
    return F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))


class Activation(nn.Module):
    """kind: 'none', 'relu' or 'relu6'. leak is the slope of a leaky ReLU, for weights that were trained with one."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.leak = kind, 0.0

    def forward(self, x):
        if self.kind == 'none':
            return x
        if self.kind == 'relu6':
            return F.relu6(x)
        return F.leaky_relu(x, self.leak) if self.leak else F.relu(x)


class ConvBN(nn.Module):
    """Convolution without bias, BatchNorm, activation.

    tf_same: pad as TensorFlow does (differs from symmetric padding only where the stride is 2).
    While its BatchNorm is in evaluation mode the layer folds it into the convolution at every call: the same function
    and the same gradients to every parameter, one pass over the map less (about a third of a CPU step).
    """
    fold = True

    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, dilation=1, activation='relu6', tf_same=True):
        super().__init__()
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.pads_itself = tf_same and kernel > 1 and stride > 1
        padding = 0 if self.pads_itself else (kernel - 1) // 2 * dilation
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.act = Activation(activation)

    def affine(self):
        """BatchNorm in evaluation mode as y = scale * x + shift -> two vectors [channels]."""
        bn = self.bn
        scale = bn.weight * torch.rsqrt(bn.running_var + bn.eps)
        return scale, bn.bias - bn.running_mean * scale

    def before_activation(self, x):
        if self.pads_itself:
            x = pad_same(x, self.kernel, self.stride, self.dilation)
        conv = self.conv
        if self.bn.training or not ConvBN.fold:
            return self.bn(conv(x))
        scale, shift = self.affine()
        return F.conv2d(x, conv.weight * scale[:, None, None, None], shift, conv.stride, conv.padding, conv.dilation,
                        conv.groups)

    def forward(self, x):
        return self.act(self.before_activation(x))


class SqueezeExcite(nn.Module):
    """Global mean, 1x1 to `squeeze` channels, ReLU, 1x1 back, sigmoid: a factor per channel (Hu et al. 2018)."""

    def __init__(self, channels, squeeze):
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.expand = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x):
        pooled = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(pooled))))


class InvertedResidual(nn.Module):
    """1x1 expand, depthwise, optional squeeze-excite, linear 1x1 project (Sandler et al. 2018, Tan et al. 2019)."""

    def __init__(self, inputs, outputs, kernel, stride, expand, dilation=1, squeeze=0.0, activation='relu6'):
        super().__init__()
        hidden = inputs * expand
        self.residual = stride == 1 and inputs == outputs
        if expand != 1:
            self.expand = ConvBN(inputs, hidden, activation=activation)
        self.depthwise = ConvBN(hidden, hidden, kernel, stride, hidden, dilation, activation)
        if squeeze:
            self.se = SqueezeExcite(hidden, max(1, int(inputs * squeeze)))
        self.project = ConvBN(hidden, outputs, activation='none')

    def expanded(self, x):
        return self.expand(x) if hasattr(self, 'expand') else x

    def before_project(self, x):
        y = self.depthwise(self.expanded(x))
        return self.se(y) if hasattr(self, 'se') else y

    def forward(self, x):
        y = self.project(self.before_project(x))
        return y + x if self.residual else y


def channel_shuffle(x):
    """Two groups interleaved: a0 a1 .. b0 b1 .. -> a0 b0 a1 b1 .."""
    batch, channels, height, width = x.shape
    return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's unit (Ma et al. 2018): split, transform one half, concatenate, shuffle. The first unit of a stage
    (`down`) shows its whole input to both branches."""

    def __init__(self, inputs, outputs, stride, dilation=1, down=False):
        super().__init__()
        half = outputs // 2
        self.down = down
        if down:
            self.left_depthwise = ConvBN(inputs, inputs, 3, stride, inputs, dilation, 'none', tf_same=False)
            self.left_pointwise = ConvBN(inputs, half, activation='relu')
        self.reduce = ConvBN(inputs if down else half, half, activation='relu')
        self.depthwise = ConvBN(half, half, 3, stride, half, dilation, 'none', tf_same=False)
        self.pointwise = ConvBN(half, half, activation='relu')

    def split(self, x):
        """-> (what passes on the left, input of the right branch)."""
        if self.down:
            return self.left_pointwise(self.left_depthwise(x)), x
        return x.chunk(2, 1)

    def forward(self, x):
        left, right = self.split(x)
        right = self.pointwise(self.depthwise(self.reduce(right)))
        return channel_shuffle(torch.cat((left, right), 1))
