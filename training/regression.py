"""Fitting layers without a gradient: ridge regression of 1x1 convolutions onto wanted activations, and BatchNorm
statistics measured on photos. Weights are moved towards, not replaced by, the solution."""
import torch

from layers import ConvBN


def pixels(x):
    """[B, C, H, W] -> [B * H * W, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


class Ridge:
    """Accumulates x -> y (with a constant) in double precision, solves once."""

    def __init__(self):
        self.xx = self.xy = 0.0

    def add(self, x, y, weight=None):
        """x [n, inputs], y [n, outputs], weight [n]."""
        x = torch.cat((x, torch.ones(len(x), 1)), 1).double()
        weighted = x if weight is None else x * weight.double()[:, None]
        self.xx = self.xx + weighted.t() @ x
        self.xy = self.xy + weighted.t() @ y.double()

    def solve(self, strength=1e-3):
        """-> (matrix [outputs, inputs], bias [outputs]). strength is relative to the mean square of the inputs."""
        penalty = torch.eye(len(self.xx), dtype=torch.double) * torch.diagonal(self.xx).mean() * strength
        penalty[-1, -1] = 0
        solution = torch.linalg.solve(self.xx + penalty, self.xy)
        return solution[:-1].t().float(), solution[-1].float()


@torch.no_grad()
def folded(layer):
    """A 1x1 ConvBN as one affine map: (matrix [outputs, inputs], bias [outputs])."""
    scale, shift = layer.affine()
    return layer.conv.weight[:, :, 0, 0] * scale[:, None], shift


@torch.no_grad()
def set_affine(layer, matrix, bias):
    """The first outputs of a 1x1 ConvBN become this affine map; its BatchNorm only adds. calibrate() later gives it
    statistics again."""
    n, bn = len(matrix), layer.bn
    layer.conv.weight[:n] = matrix[:, :, None, None]
    bn.running_mean[:n], bn.running_var[:n] = 0, 1 - bn.eps
    bn.weight[:n], bn.bias[:n] = 1, bias


@torch.no_grad()
def refit(layer, inputs, wanted, strength=1e-3, weights=None, most=4000):
    """Moves a 1x1 convolution (ConvBN before its activation, or a plain one) by what it still gets wrong.
    inputs, wanted: maps, batch by batch; wanted may have fewer channels (the first outputs are meant).
    weights: a list of [pixels] factors. `most` pixels of each batch are used, evenly spaced."""
    full, shift = folded(layer) if isinstance(layer, ConvBN) else (layer.weight[:, :, 0, 0], layer.bias)
    fit = Ridge()
    for i, (x, y) in enumerate(zip(inputs, wanted)):
        n = y.shape[1]
        matrix, bias = full[:n], shift[:n]
        x, y = pixels(x), pixels(y)
        step = max(1, len(x) // most)
        begin = int(torch.randint(step, ()))
        x, y = x[begin::step], y[begin::step]
        fit.add(x, y - (x @ matrix.t() + bias), None if weights is None else weights[i][begin::step])
    change, offset = fit.solve(strength)
    if isinstance(layer, ConvBN):
        set_affine(layer, matrix + change, bias + offset)
    else:
        layer.weight[:n, :, 0, 0] = matrix + change
        layer.bias[:n] = bias + offset


@torch.no_grad()
def calibrate(net, batches):
    """Gives every BatchNorm the statistics its input has on these batches and rewrites scale and shift so that the
    network computes exactly what it did: published weights come with BatchNorm folded, this makes them trainable."""
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    sums = {m: [0, 0.0, 0.0] for m in norms}

    def hook(module, args):
        x, entry = args[0].double(), sums[module]
        entry[0] += x.numel() // x.shape[1]
        entry[1] = entry[1] + x.sum((0, 2, 3))
        entry[2] = entry[2] + (x * x).sum((0, 2, 3))
    handles = [m.register_forward_pre_hook(hook) for m in norms]
    net.eval()
    fold, ConvBN.fold = ConvBN.fold, False  # folded layers would pass the hooks by
    try:
        for x in batches:
            net(x)
    finally:
        ConvBN.fold = fold
        for handle in handles:
            handle.remove()
    for m in norms:
        count, total, squares = sums[m]
        mean = total / count
        variance = (squares / count - mean ** 2).clamp(min=1e-5)
        scale = m.weight.double() / torch.sqrt(m.running_var.double() + m.eps)
        shift = m.bias.double() - m.running_mean.double() * scale
        m.weight.copy_(scale * torch.sqrt(variance + m.eps))
        m.bias.copy_(shift + scale * mean)
        m.running_mean.copy_(mean)
        m.running_var.copy_(variance)
