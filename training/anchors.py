"""SSD anchors, the box coder and the matching of ground truth. Boxes are ymin xmin ymax xmax as fractions of the image."""
import torch
from torchvision.ops import box_iou

GRIDS = (19, 10, 5, 3, 2, 1)
PER_CELL = (3, 6, 6, 6, 6, 6)
MIN_SCALE, MAX_SCALE = 0.2, 0.95
RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
CODER_SCALES = (10.0, 10.0, 5.0, 5.0)


def ssd_anchors():
    """[1917, 4]: TensorFlow's ssd_anchor_generator with a reduced lowest layer. Order: map, row, column, shape."""
    last = len(GRIDS) - 1
    scales = [MIN_SCALE + (MAX_SCALE - MIN_SCALE) * i / last for i in range(last + 1)] + [1.0]
    anchors = []
    for i, grid in enumerate(GRIDS):
        if i == 0:
            shapes = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
        else:
            shapes = [(scales[i], ratio) for ratio in RATIOS] + [((scales[i] * scales[i + 1]) ** 0.5, 1.0)]
        for row in range(grid):
            for column in range(grid):
                y, x = (row + 0.5) / grid, (column + 0.5) / grid
                for scale, ratio in shapes:
                    height, width = scale / ratio ** 0.5, scale * ratio ** 0.5
                    anchors.append((y - height / 2, x - width / 2, y + height / 2, x + width / 2))
    return torch.tensor(anchors)


def _parts(boxes):
    height, width = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return boxes[..., 0] + height / 2, boxes[..., 1] + width / 2, height, width


def decode(encodings, anchors):
    """ty tx th tw [..., 4] -> boxes [..., 4]."""
    ay, ax, ah, aw = _parts(anchors)
    sy, sx, sh, sw = CODER_SCALES
    y, x = encodings[..., 0] / sy * ah + ay, encodings[..., 1] / sx * aw + ax
    h, w = torch.exp(encodings[..., 2] / sh) * ah, torch.exp(encodings[..., 3] / sw) * aw
    return torch.stack((y - h / 2, x - w / 2, y + h / 2, x + w / 2), -1)


def encode(boxes, anchors):
    """The inverse of decode."""
    ay, ax, ah, aw = _parts(anchors)
    y, x, h, w = _parts(boxes)
    sy, sx, sh, sw = CODER_SCALES
    return torch.stack(((y - ay) / ah * sy, (x - ax) / aw * sx, torch.log(h.clamp(min=1e-4) / ah) * sh,
                        torch.log(w.clamp(min=1e-4) / aw) * sw), -1)


def match(boxes, classes, anchors):
    """SSD matching of one photo: boxes [n, 4], classes [n] (-1: not judged) -> per anchor its class (0 background, -1
    not judged) and its box. An anchor matches from IoU 0.5, and each box takes at least its best anchor."""
    label = torch.zeros(len(anchors), dtype=torch.long, device=anchors.device)
    target = anchors.clone()
    unjudged, judged = classes < 0, classes > 0
    if unjudged.any():
        label[(box_iou(anchors, boxes[unjudged]) > 0.4).any(1)] = -1
    if judged.any():
        boxes, classes = boxes[judged], classes[judged]
        iou = box_iou(anchors, boxes)
        best, index = iou.max(1)
        forced = iou.argmax(0)
        best[forced] = 2.0
        index[forced] = torch.arange(len(boxes), device=index.device)
        label[(best > 0.4) & (best < 0.5) & (label == 0)] = -1
        positive = best >= 0.5
        label[positive] = classes[index[positive]]
        target[positive] = boxes[index[positive]]
    return label, target
