"""Subjects from an ONNX object detector the user names: how its input is prepared and which outputs are understood.

* Input: one image tensor ``[1, 3, height, width]``, RGB in 0–1, letterboxed with grey; a free size becomes 640.
* Outputs: torchvision's ``boxes [n, 4]``, ``labels [n]``, ``scores [n]`` (corners); or one tensor as the YOLO family
  exports it: ``[1, n, 6]`` (corners, score, class; suppression done) or ``[1, 4 + classes, n]`` (centre and size, then
  a score per class; suppression is done here). Coordinates are those of the letterboxed input.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SIDE = 640
OVERLAP = 0.5
"""Of two boxes that share more (intersection over union), the one with the lower score is suppressed."""


class DetectorError(ValueError):
    """A detector cannot be used; the message names the file and what is understood."""


def detect_subjects(path: str, pixels: Array, confidence: float = 0.35) -> list[tuple[float, ...]]:
    """Boxes ``(x0, y0, x1, y1)`` in pixels of the picture.

    Args:
        path: the .onnx file.
        pixels: uint8 RGB ``[height, width, 3]``.
        confidence: boxes with less are left out.

    Raises:
        DetectorError: no such file, no ONNX model, or outputs that are not understood.
    """
    import cv2

    session = _session(path)
    entry = session.get_inputs()[0]
    height, width = (side if isinstance(side, int) else SIDE for side in entry.shape[2:])
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    canvas = np.full((height, width, 3), 114, np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    tensor = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {entry.name: tensor}), strict=True))
    boxes = decode_boxes(outputs, confidence, path) / scale
    return [tuple(float(value) for value in box) for box in boxes]


def decode_boxes(outputs: Mapping[str, Array], confidence: float, path: str = "detector") -> Array:
    """Corner boxes ``[n, 4]`` from a detector's outputs; see the module.

    Raises:
        DetectorError: outputs of another form.
    """
    if {"boxes", "scores"} <= set(outputs):
        return np.asarray(outputs["boxes"]).reshape(-1, 4)[np.asarray(outputs["scores"]).reshape(-1) >= confidence]
    first = np.asarray(next(iter(outputs.values())))
    if len(outputs) == 1 and first.ndim == 3 and first.shape[0] == 1:
        if first.shape[2] == 6:
            return np.asarray(first[0][first[0, :, 4] >= confidence, :4])
        if 4 < first.shape[1] < first.shape[2]:
            centre, scores = first[0, :4].T, first[0, 4:].max(axis=0)
            corners = np.concatenate([centre[:, :2] - centre[:, 2:] / 2, centre[:, :2] + centre[:, 2:] / 2], axis=1)
            kept = scores >= confidence
            return _suppress(corners[kept], scores[kept])
    shapes = {name: np.asarray(value).shape for name, value in outputs.items()}
    raise DetectorError(
        f"{path}: outputs {shapes} are not understood; need boxes/scores (torchvision), [1, n, 6] or "
        f"[1, 4 + classes, n] (YOLO)"
    )


def _suppress(boxes: Array, scores: Array) -> Array:
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if all(_share(boxes[i], boxes[j]) <= OVERLAP for j in kept):
            kept.append(int(i))
    return np.asarray(boxes[kept]).reshape(-1, 4)


def _share(a: Array, b: Array) -> float:
    sides = np.maximum(0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]))
    shared = float(sides.prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
    return shared / union if union > 0 else 0.0


@cache
def _session(path: str) -> Any:
    import onnxruntime

    file = Path(path).expanduser()
    if not file.is_file():
        raise DetectorError(f"detector {path} does not exist: give the path of an .onnx file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a class per fault, none of them public
        raise DetectorError(f"detector {path} cannot be loaded: {error}") from error
