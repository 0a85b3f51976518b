"""The safetensors file layout: u64 header length, JSON header, little-endian data. Only what the kit needs of it."""
import json
import os
import struct

import numpy as np

DTYPES = {'F16': np.float16, 'F32': np.float32}


def write_tensors(path, tensors, metadata):
    """tensors: name -> float16 or float32 array, written in that order."""
    header, position = {'__metadata__': {k: str(v) for k, v in metadata.items()}}, 0
    for name, array in tensors.items():
        header[name] = {'dtype': {'float16': 'F16', 'float32': 'F32'}[array.dtype.name], 'shape': list(array.shape),
                        'data_offsets': [position, position + array.nbytes]}
        position += array.nbytes
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path + '.part', 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())
    os.replace(path + '.part', path)


def read_tensors(path):
    """-> (name -> array, metadata)."""
    with open(path, 'rb') as file:
        length, = struct.unpack('<Q', file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop('__metadata__', {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry['data_offsets']
        tensors[name] = np.frombuffer(data[begin:end], DTYPES[entry['dtype']]).reshape(entry['shape'])
    return tensors, metadata


def read_json(path):
    with open(path) as file:
        return json.load(file)


def write_json(path, value, indent=None):
    with open(path + '.part', 'w') as file:
        json.dump(value, file, indent=indent, separators=None if indent else (',', ':'))
    os.replace(path + '.part', path)
