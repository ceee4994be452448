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


def square(path):
    """(1, S, S) uint8: gray, 8 bit, resized as the training images were."""
    size, fit = pixels["size"], pixels["fit"]
    image = ImageOps.exif_transpose(Image.open(path))
    gray = np.asarray(image if image.mode.startswith("I") else image.convert("L"))
    top = 255 if gray.dtype == np.uint8 else 65535
    low, high = 0, top
    if pixels["window"]:
        low, high = np.percentile(gray, [float(p) for p in pixels["window"].split(",")], method="inverted_cdf")
    gray = np.rint(((gray.astype(float) - low) * 255 / max(high - low, 1)).clip(0, 255)).astype(np.uint8)
    image = Image.fromarray(gray)
    if fit == "crop":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    shape = [max(1, round(n * size / max(image.size))) if fit == "pad" else size for n in image.size]
    smooth = pixels["resample"] == "lanczos" or shape[0] > image.width or shape[1] > image.height
    image = image.resize(shape, Image.Resampling.LANCZOS) if smooth else Image.fromarray(reduced(np.asarray(image), *shape))
    whole = Image.new("L", (size, size))
    whole.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return np.asarray(whole)[None]


def overlaps(count, cells):
    """(cells, count) the share of each of `count` pixels of a row in the mean of each of `cells`."""
    edges, pixels = np.arange(cells + 1) * count / cells, np.arange(count)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(shared, 0, None) * cells / count


def area(gray, width, height):
    """(height, width) uint8 means of areas of (H, W) uint8, rounded as OpenCV does."""
    means = overlaps(gray.shape[0], height) @ gray @ overlaps(gray.shape[1], width).T
    halved = gray.shape == (2 * height, 2 * width)
    return (np.floor(means + 0.5) if halved else np.rint(means)).astype(np.uint8)


def reduced(gray, width, height):
    """The same with whole means of 2 x 2, 4 x 4 ... first, as in training."""
    rows, columns = gray.shape
    factor = 1
    while rows % (2 * factor) == columns % (2 * factor) == 0 and min(rows / height, columns / width) / factor >= 4:
        factor *= 2
    return area(area(gray, columns // factor, rows // factor), width, height)


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
        found = ("", "") if threshold is None else (f"{threshold:.6f}", int(probability >= threshold))
        print(f'"{path}","{name}",{logit:.6f},{probability:.6f},{found[0]},{found[1]}')
