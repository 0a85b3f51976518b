"""Starting weights, without labels and without a gradient.

A student with its teacher's layout starts as the teacher. MnasNet-A1 is laid out from a MobileNetV2 teacher, block onto
block. ShuffleNetV2 takes a trunk of its own layout (NanoDet's, or another student's) under the teacher's head. Whatever
lost information on the way is moved by ridge regression, layer by layer in order, towards the teacher's activations on
some unlabelled photos (`batches`: a list of [B, 3, H, W] in [-1, 1]).
"""
import torch
import torch.nn.functional as F

from backbones import ShuffleNetV2
from layers import channel_shuffle
from network import Network, load_state
from regression import Ridge, calibrate, folded, pixels, refit, set_affine

GATE_BIAS = 2.0  # squeeze-excite starts at a constant sigmoid(2), which the next layer divides out


@torch.no_grad()
def copy_norm(to, source, at, select):
    for name in ('weight', 'bias', 'running_mean', 'running_var'):
        getattr(to, name)[at] = getattr(source, name)[select]


@torch.no_grad()
def fewest_needed(moments, cross, keep, strength=1e-3):
    """Backward elimination: which `keep` of n inputs do best in a ridge regression. moments [n, n], cross [n, outputs],
    both about the mean, double -> sorted indices [keep]."""
    n = len(moments)
    inverse = torch.linalg.inv(moments + torch.eye(n, dtype=torch.double) * torch.diagonal(moments).mean() * strength)
    solution = inverse @ cross
    alive = torch.ones(n, dtype=torch.bool)
    for _ in range(n - keep):
        cost = solution.pow(2).sum(1) / torch.diagonal(inverse)  # what the error grows by without this input
        cost[~alive] = float('inf')
        worst = int(cost.argmin())
        column, pivot = inverse[:, worst].clone(), inverse[worst, worst].clone()
        solution -= column[:, None] * (solution[worst] / pivot)[None]
        inverse -= column[:, None] * column[None] / pivot
        inverse[worst, worst] = 1.0
        alive[worst] = False
    return torch.nonzero(alive).flatten()


@torch.no_grad()
def choose_hidden(sources, inputs, wanted, residual, keep, most=2000):
    """Which hidden channels of these blocks, all reading `inputs`, best make what `wanted` adds to them."""
    moments = cross = total = sums = 0.0
    count = 0
    for x, y in zip(inputs, wanted):
        h = torch.cat([pixels(source.before_project(x)) for source in sources], 1)
        y = pixels(y - x) if residual else pixels(y)
        step = max(1, len(h) // most)
        h, y = h[::step].double(), y[::step].double()
        moments, cross = moments + h.t() @ h, cross + h.t() @ y
        total, sums, count = total + h.sum(0), sums + y.sum(0), count + len(h)
    return fewest_needed(moments - total[:, None] * total[None] / count, cross - total[:, None] * sums[None] / count, keep)


@torch.no_grad()
def map_block(to, sources, select):
    """Inverted residual onto inverted residual. The sources' inputs and outputs are the first ones of `to`; its hidden
    channels are the selected ones of all sources' put side by side (further ones stay random, with nothing reading
    them); 3x3 kernels sit in the middle of 5x5 ones."""
    def joined(get):
        return torch.cat([get(source) for source in sources])[select]
    n = len(select)
    at = torch.arange(n)

    def copy(layer, part):
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            getattr(layer.bn, name)[at] = joined(lambda source: getattr(getattr(source, part).bn, name))
    if hasattr(to, 'expand'):
        inputs = sources[0].expand.conv.in_channels
        to.expand.conv.weight[at, inputs:] = 0
        to.expand.conv.weight[at, :inputs] = joined(lambda source: source.expand.conv.weight)
        copy(to.expand, 'expand')
    border = (to.depthwise.kernel - sources[0].depthwise.kernel) // 2
    to.depthwise.conv.weight[at] = F.pad(joined(lambda source: source.depthwise.conv.weight), (border,) * 4)
    copy(to.depthwise, 'depthwise')
    outputs = sources[0].project.conv.out_channels
    weight = to.project.conv.weight
    weight[:outputs] = 0
    weight[outputs:] *= 0.3
    if hasattr(to, 'se'):
        to.se.expand.weight.mul_(0.1)
        to.se.expand.bias.fill_(GATE_BIAS)


@torch.no_grad()
def copy_head(to, source, keep4=None, keep5=None):
    """SSDLite head onto SSDLite head. The first two levels may read wider maps (further channels start unused) or a
    selection of the source's channels (keep4, keep5)."""
    for level, keep in enumerate((keep4, keep5, None, None, None, None)):
        for mine, theirs in ((to.box[level], source.box[level]), (to.cls[level], source.cls[level])):
            select = torch.arange(theirs.depthwise.conv.out_channels) if keep is None else keep
            n = len(select)
            mine.depthwise.conv.weight[:n] = theirs.depthwise.conv.weight[select]
            copy_norm(mine.depthwise.bn, theirs.depthwise.bn, torch.arange(n), select)
            mine.predict.weight.zero_()
            mine.predict.weight[:, :n] = theirs.predict.weight[:, select]
            mine.predict.bias.copy_(theirs.predict.bias)
    for i, (mine, theirs) in enumerate(zip(to.extras, source.extras)):
        for part in ('reduce', 'depthwise', 'project'):
            a, b = getattr(mine, part), getattr(theirs, part)
            narrowed = i == 0 and part == 'reduce' and keep5 is not None
            a.conv.weight.copy_(b.conv.weight[:, keep5] if narrowed else b.conv.weight)
            a.bn.load_state_dict(b.bn.state_dict())


@torch.no_grad()
def refit_predictors(head, source, maps, source_maps, strength):
    """Predictors of the first two levels onto the teacher's outputs; pixels weigh what the teacher sees there."""
    mine = [head.pyramid(m) for m in maps]
    theirs = [source.pyramid(m) for m in source_maps]
    for level in (0, 1):
        wanted = [source.cls[level](m[level]).clamp(min=-9) for m in theirs]
        weights = [0.03 + torch.sigmoid(pixels(w).view(-1, w.shape[1] // head.columns, head.columns)[..., 1:])
                   .amax((1, 2)) for w in wanted]
        boxes = [source.box[level](m[level]) for m in theirs]
        for predictor, ys in ((head.box[level], boxes), (head.cls[level], wanted)):
            refit(predictor.predict, [predictor.depthwise(m[level]) for m in mine], ys, strength, weights)


@torch.no_grad()
def mnasnet_from_mobilenet(teacher, batches):
    """MnasNet-A1 laid out from a MobileNetV2 teacher of the same task. Where MnasNet has a block less, its last one
    takes over the work of two. The head is the teacher's, untouched: regressing its layers as well made it worse."""
    net = Network('mnasnet_a1', teacher.task, teacher.columns).eval()
    mine, theirs = net.backbone, teacher.backbone
    mine.stem.load_state_dict(theirs.stem.state_dict())
    xs, ts = [mine.stem(x) for x in batches], [theirs.stem(x) for x in batches]
    for s in mine.stages:
        blocks, sources = list(getattr(mine, f'stage{s}')), list(getattr(theirs, f'stage{s}'))
        for i, block in enumerate(blocks):
            group = sources[i:] if i == len(blocks) - 1 else [sources[i]]
            before, ts = ts, run_blocks(group, ts)
            width, have = block.depthwise.conv.out_channels, sum(g.depthwise.conv.out_channels for g in group)
            select = torch.arange(have) if have <= width else \
                choose_hidden(group, before, ts, block.residual, width)
            map_block(block, group, select)
            anchor_expansion(block, group, select, xs, before)
            n = ts[0].shape[1]
            refit(block.project, (block.before_project(x) for x in xs),
                  (t - x[:, :n] if block.residual else t for t, x in zip(ts, xs)))
            xs = run_blocks([block], xs)
    if teacher.task == 'seg':
        net.head.load_state_dict(teacher.head.state_dict())
    else:
        mine.final.load_state_dict(theirs.final.state_dict())
        refit(mine.final, xs, (theirs.final.before_activation(t) for t in ts), 1e-2)
        copy_head(net.head, teacher.head)
    calibrate(net, batches)
    return net


@torch.no_grad()
def anchor_expansion(block, sources, select, xs, ts):
    """Moves the expansion of a mapped block so that it gives, from the student's map, what the sources' gives from the
    teacher's: errors of earlier blocks end here."""
    if hasattr(block, 'expand'):
        refit(block.expand, xs, (torch.cat([s.expand.before_activation(t) for s in sources], 1)[:, select] for t in ts))


def run_blocks(blocks, xs):
    for block in blocks:
        xs = [block(x) for x in xs]
    return xs


@torch.no_grad()
def relu_trunk(trunk, batches):
    """A ShuffleNetV2 trunk trained with leaky ReLU -> one with plain ReLU that computes the same before activations."""
    net = ShuffleNetV2(final=False).eval()
    net.load_state_dict(trunk.state_dict())
    xs, ts = [net.pooled_stem(x) for x in batches], [trunk.pooled_stem(x) for x in batches]
    for s in net.stages:
        for unit, source in zip(getattr(net, f'stage{s}'), getattr(trunk, f'stage{s}')):
            if unit.down:
                refit(unit.left_pointwise, [unit.left_depthwise(x) for x in xs],
                      [source.left_pointwise.before_activation(source.left_depthwise(t)) for t in ts])
            left, right = zip(*(unit.split(x) for x in xs))
            source_left, source_right = zip(*(source.split(t) for t in ts))
            refit(unit.reduce, right, [source.reduce.before_activation(t) for t in source_right])
            wanted = [source.pointwise.before_activation(source.depthwise(source.reduce(t))) for t in source_right]
            refit(unit.pointwise, [unit.depthwise(unit.reduce(x)) for x in right], wanted)
            xs = [channel_shuffle(torch.cat((a, unit.pointwise(unit.depthwise(unit.reduce(x)))), 1))
                  for a, x in zip(left, right)]
            ts = [channel_shuffle(torch.cat((a, source.pointwise.act(w)), 1)) for a, w in zip(source_left, wanted)]
    return net


def load_leaky_trunk(state):
    """NanoDet's trunk as it was trained: leaky ReLU with slope 0.1."""
    trunk = ShuffleNetV2(final=False)
    load_state(trunk, state)
    for module in trunk.modules():
        if hasattr(module, 'leak'):
            module.leak = 0.1
    return trunk.eval().requires_grad_(False)


@torch.no_grad()
def shufflenet_detector(trunk, teacher, batches):
    """A detector on a plain-ReLU trunk. conv5 is regressed onto the 1024 most used of the teacher's 1280 channels, the
    head above it is the teacher's, the predictors of the first two levels are regressed.
    -> (network, the kept channels [1024])"""
    net = Network('shufflenetv2', 'det', teacher.columns).eval()
    net.backbone.load_state_dict({**net.backbone.state_dict(), **trunk.state_dict()})
    source = teacher.head
    used = source.extras[0].reduce.conv.weight[:, :, 0, 0].norm(dim=0)
    for p in (source.box[1], source.cls[1]):
        used = used / used.mean() + p.predict.weight[:, :, 0, 0].norm(dim=0) * p.depthwise.bn.weight.abs()
    final = net.backbone.final
    keep = used.topk(final.conv.out_channels).indices.sort().values
    wanted = [teacher.backbone(x) for x in batches]
    final.conv.weight.zero_()
    refit(final, [trunk(x)['s4'] for x in batches],
          [teacher.backbone.final.before_activation(m['seg'])[:, keep] for m in wanted], 3e-3)
    # the first level reads 232 channels that the teacher does not have: a spread of kernels, then a regression
    copy_head(net.head, source, torch.arange(net.backbone.channels['c4']), keep)
    first = (net.head.box[0], net.head.cls[0])
    for p in first:
        kernels = torch.randn(p.depthwise.conv.weight.shape) * 0.15
        kernels[:, :, 1, 1] += 0.8
        p.depthwise.conv.weight.copy_(kernels)
        p.depthwise.bn.reset_parameters()
        p.depthwise.bn.reset_running_stats()
        p.predict.weight.zero_()
        p.predict.bias.fill_(0.0 if p is first[0] else -6.0)
    calibrate(net, batches)
    for p in first:
        p.depthwise.bn.weight.fill_(1.0)
        p.depthwise.bn.bias.fill_(0.7)
    refit_predictors(net.head, source, [net.backbone(x) for x in batches], wanted, 3e-3)
    calibrate(net, batches)
    return net, keep


@torch.no_grad()
def segmenter_under_head(trunk_state, backbone, teacher, batches):
    """Any backbone under the teacher's DeepLabv3 head: one linear map from its last map to the teacher's is regressed
    and multiplied into the head's first two convolutions. -> (network, (matrix [teacher, student], bias))"""
    net = Network(backbone, 'seg', teacher.columns).eval()
    wanted = net.backbone.state_dict()
    net.backbone.load_state_dict({**wanted, **{k: v for k, v in trunk_state.items() if k in wanted}})
    fit = Ridge()
    for x in batches:
        fit.add(pixels(net.backbone(x)['seg']), pixels(teacher.backbone(x)['seg']))
    matrix, bias = fit.solve()
    for part in ('branch', 'pool'):
        weight, shift = folded(getattr(teacher.head, part))
        set_affine(getattr(net.head, part), weight @ matrix, weight @ bias + shift)
    net.head.project.load_state_dict(teacher.head.project.state_dict())
    net.head.classify.load_state_dict(teacher.head.classify.state_dict())
    calibrate(net, batches)
    return net, (matrix, bias)


def starting_network(backbone, teacher, batches, trunk=None):
    """-> (network, hint), hint being what AdapterSet starts from. trunk: state dict of a backbone of this layout."""
    if backbone == teacher.name:
        net = Network(backbone, teacher.task, teacher.columns)
        return load_state(net, teacher.state_dict()).eval(), None
    if backbone == 'mnasnet_a1' and trunk is None:
        return mnasnet_from_mobilenet(teacher, batches), None
    if trunk is None:
        raise SystemExit(f'{backbone} needs --trunk: a file with weights of this backbone to start from')
    if teacher.task == 'seg':
        return segmenter_under_head(trunk, backbone, teacher, batches)
    if backbone == 'shufflenetv2':
        return shufflenet_detector(relu_trunk(load_leaky_trunk(trunk), batches), teacher, batches)
    raise SystemExit(f'no way is known to start a {backbone} detector from a trunk')
