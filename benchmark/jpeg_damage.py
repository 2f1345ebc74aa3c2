# SPDX-License-Identifier: Apache-2.0
"""How many JPEGs with one flipped bit are refused, and how many whole ones are.

Rendered views and the pictures of --folder (real ones) are encoded, and one bit of the coded picture is
flipped. Visible: more than 1 % of the pixels differ by more than 8 of 255.

`python benchmark/jpeg_damage.py [--folder DIR]` prints a table and writes jpeg_damage.json next to itself. A
minute of one core.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from vision_banana_ros.errors import InputError
from vision_banana_ros.perception.image_decoding import decode_whole
from vision_banana_ros.scenes import make_world, render, sample_camera

QUALITIES = (60, 80, 95)
VISIBLE, DIFFERENT = 0.01, 8


def rendered(seed: int) -> np.ndarray:
    world, rng = make_world(seed), np.random.default_rng(seed)
    return render(world, sample_camera(world, rng, 320, 240), rng).image[..., ::-1]


def flipped(jpeg: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The JPEG with one bit of its coded picture flipped."""
    damaged = jpeg.copy()
    begin = jpeg.tobytes().index(b"\xff\xda") + 14
    damaged[rng.integers(begin, len(jpeg) - 2)] ^= np.uint8(1 << rng.integers(8))
    return damaged


def decoded(data: np.ndarray) -> np.ndarray | None:
    """The picture, or None where it is refused."""
    try:
        return decode_whole(data, cv2.IMREAD_COLOR)
    except InputError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="real pictures, PNG")
    parser.add_argument("--flips", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    real = [cv2.imread(str(path)) for path in sorted(args.folder.rglob("*.png"))] if args.folder else []
    images = [image for image in real if image is not None and min(image.shape[:2]) >= 100] + [
        rendered(seed) for seed in range(12)
    ]
    counts: Counter[str] = Counter()
    for k in range(args.flips):
        image, quality = images[k % len(images)], int(rng.choice(QUALITIES))
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].ravel()
        whole = decoded(jpeg)
        counts["whole"] += 1
        if whole is None:
            counts["whole, refused"] += 1
            continue
        broken = flipped(jpeg, rng)
        blind = cv2.imdecode(broken, cv2.IMREAD_COLOR)
        seen = blind is not None and (np.abs(blind.astype(int) - whole).max(2) > DIFFERENT).mean() > VISIBLE
        kind = "visible" if seen or blind is None else "not visible"
        counts[kind] += 1
        counts[f"{kind}, refused"] += decoded(broken) is None
    report = {
        "command": "python benchmark/" + " ".join([Path(__file__).name, *sys.argv[1:]]),
        "pictures": {"real": len(images) - 12, "rendered": 12},
        **dict(sorted(counts.items())),
    }
    print(json.dumps(report, indent=2))
    args.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
