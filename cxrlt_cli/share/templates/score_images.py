"""Scores image files with the ONNX model beside this script: python THIS.py IMAGE ... > scores.csv. Needs no cxrlt.

Packages: numpy, pillow, onnxruntime. PNG and JPEG, 8 or 16 bit. Not for clinical use.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(Path(__file__).with_suffix(".onnx"), providers=["CPUExecutionProvider"])
about = json.loads(session.get_modelmeta().custom_metadata_map["cxrlt"])
pixels, fits = about["pixels"], (about["calibration"] or {}).get("fitted", {})


def decoded(path):
    """(H, W) gray values, and (width, height) of the image in these pixels.

    A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, as for the training images; its last pixel may lie partly outside.
    """
    image = Image.open(path)
    width, height = image.size
    if image.format == "JPEG" and image.mode in ("L", "RGB") and image.getexif().get(0x0112, 1) == 1:
        span = (max if pixels["fit"] == "pad" else min)(image.size) / pixels["size"]
        factor = next((f for f in (8, 4, 2) if span / f >= 1.4 and pixels["resample"] == "area"), 1)
        image.draft("L", (width // factor, height // factor))
        return np.asarray(image), (width / factor, height / factor)
    image = ImageOps.exif_transpose(image)
    return np.asarray(image if image.mode.startswith("I") else image.convert("L")), image.size


def square(path):
    """(1, S, S) uint8: gray, 8 bit, resized as the training images were."""
    size, fit = pixels["size"], pixels["fit"]
    gray, extent = decoded(path)
    low, high = 0, 255 if gray.dtype == np.uint8 else 65535
    if pixels["window"]:
        low, high = np.percentile(gray, [float(p) for p in pixels["window"].split(",")], method="inverted_cdf")
    gray = np.rint(((gray.astype(float) - low) * 255 / max(high - low, 1)).clip(0, 255)).astype(np.uint8)
    rows, columns = gray.shape
    if fit == "crop":
        side, extent = min(gray.shape), (min(extent), min(extent))
        top, left = (rows - side) // 2, (columns - side) // 2
        gray = gray[top : top + side, left : left + side]
    shape = [max(1, round(n * size / max(extent))) if fit == "pad" else size for n in extent]
    if pixels["resample"] == "lanczos" or shape[0] > gray.shape[1] or shape[1] > gray.shape[0]:
        gray = np.asarray(Image.fromarray(gray).resize(shape, Image.Resampling.LANCZOS))
    else:
        gray = reduced(gray, *shape, *extent)
    whole, top, left = np.zeros((size, size), np.uint8), (size - gray.shape[0]) // 2, (size - gray.shape[1]) // 2
    whole[top : top + gray.shape[0], left : left + gray.shape[1]] = gray
    return whole[None]


def means(values, cells, extent):
    """(H, cells) float32 means of (H, W) over `cells` equal parts of the first `extent` columns, added in OpenCV's order."""
    edges, columns = np.arange(cells + 1) * extent / cells, np.arange(values.shape[1])
    shared = np.minimum(edges[1:, None], columns + 1) - np.maximum(edges[:-1, None], columns)
    shares = (shared * cells / extent).astype(np.float32)
    first, total = (shares > 0).argmax(axis=1), np.float32(0)
    for step in range(int((shares > 0).sum(axis=1).max())):
        at = np.minimum(first + step, len(columns) - 1)
        share = np.where(at == first + step, shares[np.arange(cells), at].clip(0), 0)
        total = total + values[:, at].astype(np.float32) * share
    return total


def area(gray, width, height, across, down):
    """(height, width) uint8 means of areas of the first `across` x `down` pixels of (H, W) uint8, rounded as OpenCV does."""
    if across % width or down % height:
        return np.rint(means(means(gray, width, across).T, height, down).T).astype(np.uint8)
    sums = gray.reshape(height, int(down // height), width, int(across // width)).sum(axis=(1, 3), dtype=np.int64)
    if (across, down) == (2 * width, 2 * height):
        return ((sums + 2) // 4).astype(np.uint8)
    return np.rint(sums.astype(np.float32) * np.float32(width * height / (across * down))).astype(np.uint8)


def reduced(gray, width, height, across, down):
    """The same with whole means of 2 x 2, 4 x 4 ... first, as in training."""
    rows, columns = gray.shape
    if (columns, rows) == (width, height):
        return gray
    factor = 1
    while rows % (2 * factor) == columns % (2 * factor) == 0 and min(rows / height, columns / width) / factor >= 4:
        factor *= 2
    gray = area(gray, columns // factor, rows // factor, columns, rows)
    return area(gray, width, height, across / factor, down / factor)


def calibrated(name, logit):
    """The calibrated logit of a class."""
    fit = fits.get(name) or {}
    if "logits" in fit:
        p = np.interp(logit, fit["logits"], fit["probabilities"])
        beyond = min(logit - fit["logits"][0], 0) + max(logit - fit["logits"][-1], 0)
        return np.log(p / (1 - p)) + 0.1 * beyond
    return logit / fit.get("temperature", 1) + fit.get("bias", 0)


if pixels["clahe"]:
    sys.exit("the model was trained on equalized images (CLAHE), which this script does not make")
print("file,class,logit,probability,threshold,positive")
for path in sys.argv[1:]:
    for name, logit in zip(about["classes"], session.run(["logits"], {"images": square(path)})[0][0].tolist(), strict=True):
        probability, threshold = 1 / (1 + np.exp(-calibrated(name, logit))), about["thresholds"].get(name)
        found = ("", "") if threshold is None else (f"{threshold:.6g}", int(probability >= threshold))
        print(f'"{path}","{name}",{logit:.6f},{probability:.6f},{found[0]},{found[1]}')
