"""The record beside a weights file: everything a reader needs to build the network, and how it came about."""
import torch

from anchors import CODER_SCALES, GRIDS, MAX_SCALE, MIN_SCALE, PER_CELL, RATIOS, ssd_anchors
from backbones import MOBILE_STAGES, SHUFFLE_STAGES, TITLES
from layers import BN_EPS
from network import INPUT


def layers_of(net):
    """name -> shape, stride, dilation, padding, activation of every convolution."""
    modules, layers = dict(net.named_modules()), {}
    for name, m in modules.items():
        if not isinstance(m, torch.nn.Conv2d):
            continue
        norm = name.endswith('.conv')  # inside a ConvBN
        owner = modules[name.rsplit('.', 1)[0]] if norm else None
        same = m.padding[0] == 0 or (norm and owner.pads_itself)
        layers[name[:-len('.conv')] if norm else name] = {
            'out': m.out_channels, 'in': m.in_channels, 'k': m.kernel_size[0], 'stride': m.stride[0],
            'dilation': m.dilation[0], 'groups': m.groups, 'pad': 'same' if same else m.padding[0], 'bn': norm,
            'act': owner.act.kind if norm else 'none', 'bias': m.bias is not None}
    return layers


def architecture_of(net):
    detection, shuffle = net.task == 'det', net.name == 'shufflenetv2'
    out = {'backbone': net.name, 'head': 'ssdlite' if detection else 'mobile_deeplabv3',
           'output_stride': 32 if detection else 16, 'bn_eps': BN_EPS,
           'padding': 'backbone symmetric (k-1)/2, head TF SAME' if shuffle else
           'TF SAME everywhere (extra pixel after)', 'layers': layers_of(net)}
    if shuffle:
        out['order'] = 'stem, maxpool 3x3/2 pad 1, stage2..4 units (split in halves, second half through reduce/' \
                       'depthwise/pointwise, concat, shuffle 2 groups; block 0: both branches see the whole input)'
        out['stages'] = [list(s) for s in SHUFFLE_STAGES]
        out['act'] = 'relu'
        out['taps'] = {'c4': 'stage3 output (232)', 'c5': 'final (1024)', 'seg': 'stage4 output (464)'}
    else:
        out['act'], stages = MOBILE_STAGES[net.name]
        out['stages'] = [dict(zip(('expand', 'kernel', 'channels', 'blocks', 'stride', 'se'), s)) for s in stages]
        out['order'] = 'stem, stage1..7 inverted residuals (expand, depthwise, se, linear project, residual when ' \
                       'stride 1 and equal width); SE: mean, reduce, relu, expand, sigmoid, placed after depthwise'
        out['taps'] = {'c4': f'stage6.0.expand output ({net.backbone.channels["c4"]})', 'c5': 'final (1280)',
                       'seg': 'stage7 output (320)'}
    return out


def count_cost(net):
    """Multiply-accumulates of convolutions for one input image (padding counted like any pixel)."""
    total, handles = [0], []

    def hook(m, _, y):
        total[0] += y.numel() * m.in_channels // m.groups * m.kernel_size[0] * m.kernel_size[1]
    from layers import ConvBN
    fold, ConvBN.fold = ConvBN.fold, False  # folded layers would pass the hooks by
    for m in net.modules():
        if isinstance(m, torch.nn.Conv2d):
            handles.append(m.register_forward_hook(hook))
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, INPUT[net.task], INPUT[net.task]))
    ConvBN.fold = fold
    for handle in handles:
        handle.remove()
    return total[0]


def make_record(name, net, about, reference):
    """about: what a checkpoint says of itself; reference: file name of the reference outputs."""
    size, detection = INPUT[net.task], net.task == 'det'
    out = {'name': name, 'title': f'{TITLES[net.name]} + ' + ('SSDLite' if detection else 'Mobile DeepLabv3'),
           'task': net.task, 'architecture': architecture_of(net),
           'parameters': sum(p.numel() for p in net.parameters()),
           'multiply_accumulates': count_cost(net),
           'normalisation': {'order': 'RGB', 'scale': 1 / 127.5, 'offset': -1}}
    if detection:
        out['input'] = {'width': size, 'height': size, 'resize': 'whole image squashed, bilinear'}
        out['classes'] = about['classes']
        out['ssd'] = {'anchors': len(ssd_anchors()), 'maps': list(GRIDS), 'per_cell': list(PER_CELL),
                      'min_scale': MIN_SCALE, 'max_scale': MAX_SCALE, 'aspect_ratios': [int(r) if r == int(r) else r
                                                                                       for r in RATIOS],
                      'reduce_boxes_in_lowest_layer': True, 'box_coder_scales': [int(s) for s in CODER_SCALES],
                      'scores': 'sigmoid', 'nms_iou': 0.6, 'box_order': 'ymin xmin ymax xmax'}
    else:
        out['input'] = {'width': size, 'height': size, 'resize': f'longest side to {size}, zero padding (after '
                        'normalisation) right and below', 'upsample': 'bilinear, align_corners, 16n+1 sizes'}
        out['classes'] = about['classes']
    for key in ('measured', 'measured_on', 'measured_with', 'measured_caveat', 'teacher', 'before', 'training', 'derived_from'):
        if key in about:
            out[key] = about[key]
    out['provenance'] = about['provenance']
    out['reference'] = f'{reference}: pixels (NHWC, 0..255) and the outputs that the fp16 weights give for them in ' \
                       'float32'
    return out
