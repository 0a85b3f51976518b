"""From a photo to boxes or a mask, the way the server does it."""
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.ops import batched_nms

from anchors import decode
from folders import to_planes
from network import INPUT

CANDIDATES = 4000


def boxes_of(encodings, logits, anchors, width, height, threshold=0.01, iou=0.6, most=100):
    """One image: [1917, 4], [1917, columns] -> [(category id, score, x, y, width, height)] in pixels."""
    boxes = decode(encodings.float(), anchors).clamp(0, 1)
    scores = torch.sigmoid(logits.float())[:, 1:]
    anchor, column = torch.nonzero(scores > threshold, as_tuple=True)
    score = scores[anchor, column]
    if len(score) > CANDIDATES:
        best = score.topk(CANDIDATES).indices
        anchor, column, score = anchor[best], column[best], score[best]
    found = boxes[anchor][:, [1, 0, 3, 2]]
    keep = batched_nms(found, score, column, iou)[:most]
    found = found[keep] * found.new_tensor([width, height, width, height])
    return [(c + 1, s, x0, y0, x1 - x0, y1 - y0) for c, s, (x0, y0, x1, y1) in
            zip(column[keep].tolist(), score[keep].tolist(), found.tolist())]


@torch.no_grad()
def detect(net, images, anchors, device='cpu', **settings):
    """PIL images -> one list of boxes each."""
    size = INPUT['det']
    x = torch.stack([to_planes(im.resize((size, size), Image.BILINEAR)) for im in images])
    encodings, logits = net(x.to(device).contiguous(memory_format=torch.channels_last))
    return [boxes_of(e, c, anchors, *im.size, **settings) for im, e, c in zip(images, encodings, logits)]


@torch.no_grad()
def segment(net, image, device='cpu', size=INPUT['seg']):
    """PIL image -> uint8 array [height, width] of class indices. Longest side to `size`, zero padding (after
    normalisation) right and below, logits upsampled with aligned corners."""
    width, height = image.size
    ratio = size / max(width, height)
    w, h = max(1, round(width * ratio)), max(1, round(height * ratio))
    x = torch.zeros(1, 3, size, size)
    x[0, :, :h, :w] = to_planes(image.resize((w, h), Image.BILINEAR))
    logits = net(x.to(device).contiguous(memory_format=torch.channels_last)).float()
    logits = F.interpolate(logits, (size, size), mode='bilinear', align_corners=True)[..., :h, :w]
    logits = F.interpolate(logits, (height, width), mode='bilinear', align_corners=False)
    return logits[0].argmax(0).to(torch.uint8).cpu().numpy()
