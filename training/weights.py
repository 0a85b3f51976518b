"""Networks as files. Exported: NAME.safetensors (float16, OIHW, BatchNorm apart) beside NAME.json (the record).
Checkpoint: NAME.pt (torch, averaged weights in float32 and the record's variable part)."""
import os

import numpy as np
import torch

from network import Network, load_state
from tensors import read_json, read_tensors

HALF_LIMIT = 60000.0  # float16 ends at 65504


def exported_tensors(net):
    """state dict -> the tensors of the file: 'x.conv.weight' is called 'x.weight', float16 unless a value is too large."""
    out = {}
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            array = value.detach().cpu().numpy()
            large = np.abs(array).max() > HALF_LIMIT
            out[name.replace('.conv.weight', '.weight')] = array.astype(np.float32 if large else np.float16)
    return out


def load_exported(path):
    """NAME.safetensors -> (network in evaluation mode, record)."""
    record = read_json(path[:-len('.safetensors')] + '.json')
    net = Network(record['architecture']['backbone'], record['task'], record['classes']['count'])
    tensors, _ = read_tensors(path)
    state = {}
    for name in net.state_dict():
        short = name.replace('.conv.weight', '.weight')
        if short in tensors:
            state[name] = torch.from_numpy(tensors[short].astype(np.float32))
    return load_state(net, state).eval(), record


def save_checkpoint(path, net_state, about):
    torch.save({'state': {k: v.cpu() for k, v in net_state.items()}, 'about': about}, path + '.part')
    os.replace(path + '.part', path)


def load_any(path):
    """A checkpoint or an exported file -> (network, about). `about` of an exported file is its record's training part
    with its classes and provenance."""
    if path.endswith('.safetensors'):
        net, record = load_exported(path)
        return net, {'backbone': net.name, 'task': net.task, 'classes': record['classes'],
                     'provenance': record['provenance'], 'training': {}}
    saved = torch.load(path, map_location='cpu')
    about = saved['about']
    net = Network(about['backbone'], about['task'], about['classes']['count'])
    return load_state(net, saved['state']).eval(), about


def load_teacher(path):
    return load_any(path)[0].eval().requires_grad_(False)
