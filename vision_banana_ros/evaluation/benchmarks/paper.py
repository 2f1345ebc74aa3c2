# SPDX-License-Identifier: Apache-2.0
"""What others published on the same data sets: arXiv 2604.20329, v3, and what its tables say of others.

Shares are 0..1, angles degrees, as in our reports. A figure that is not in the paper's tables is not here.
"""

PAPER = "Vision Banana"
Figures = dict[str, float]


def _depth(**methods: tuple[float, float | None]) -> dict[str, Figures]:
    named = {name.replace("_", " "): values for name, values in methods.items()}
    return {
        name: {"delta1": d1} | ({} if rel is None else {"absrel": rel}) for name, (d1, rel) in named.items()
    }


def _normals(ours: tuple[float, float] | None = None, **methods: float) -> dict[str, Figures]:
    paper = {PAPER: {"mean_deg": ours[0], "median_deg": ours[1]}} if ours else {}
    return paper | {name.replace("_", "-"): {"mean_deg": mean} for name, mean in methods.items()}


#: By row of the table (a benchmark's name, or the name of a mean) and method.
PUBLISHED: dict[str, dict[str, Figures]] = {
    "depth-mean": _depth(
        Vision_Banana=(0.882, 0.116), Depth_Pro=(0.715, None), UniK3D=(0.823, 0.156), MoGe_2=(0.802, 0.144)
    ),
    "nyuv2-depth": _depth(
        Vision_Banana=(0.948, 0.081), DepthLM_7B=(0.915, None), Depth_Anything_3=(0.963, 0.07),
        Depth_Pro=(0.961, None),
        UniK3D=(0.965, 0.074), MoGe_2=(0.961, 0.073),
    ),
    "ibims1-depth": _depth(
        Vision_Banana=(0.934, 0.078), DepthLM_7B=(0.92, None), Depth_Pro=(0.913, None), UniK3D=(0.919, 0.104),
        MoGe_2=(0.830, 0.136)
    ),
    "eth3d-depth": _depth(
        Vision_Banana=(0.935, 0.103), DepthLM_7B=(0.718, None), Depth_Anything_3=(0.917, 0.104),
        Depth_Pro=(0.415, 0.327),
        UniK3D=(0.687, 0.236), MoGe_2=(0.908, 0.104),
    ),
    "diode-depth": _depth(
        Vision_Banana=(0.917, 0.108), Depth_Anything_3=(0.838, 0.123), Depth_Pro=(0.671, 0.199),
        UniK3D=(0.713, 0.161),
        MoGe_2=(0.664, 0.175),
    ),
    "kitti-depth": _depth(
        Vision_Banana=(0.915, 0.107), Depth_Anything_3=(0.953, 0.086), Depth_Pro=(0.843, 0.121),
        UniK3D=(0.812, 0.174),
        MoGe_2=(0.629, 0.181),
    ),
    "nuscenes-depth": _depth(
        Vision_Banana=(0.643, 0.219), DepthLM_7B=(0.865, None), Depth_Pro=(0.491, 0.287),
        UniK3D=(0.840, 0.189), MoGe_2=(0.820, 0.195)
    ),
    "nyuv2-normals": _normals((17.8, 8.9), Lotus_2=16.9, DSINE=16.4),
    "diode-normals": _normals((13.8, 11.6), Lotus_2=18.6, DSINE=18.5),
    "scannet-normals": _normals((15.1, 7.5), Lotus_2=14.2, DSINE=16.2),
    "vkitti-normals": _normals((29.1, 10.7), Lotus_2=28.9, DSINE=28.9),
    "cityscapes": {PAPER: {"miou": 0.699}, "SAM 3": {"miou": 0.652}, "X-Decoder": {"miou": 0.520},
                   "SegMan-L": {"miou": 0.842}},
    "refcocog-val": {PAPER: {"ciou": 0.738}, "SAM 3 agent": {"ciou": 0.734}, "HybridGL": {"ciou": 0.513}},
    "reasonseg-val": {PAPER: {"giou": 0.793}, "SAM 3 agent": {"giou": 0.770}, "LISA-13B": {"giou": 0.650}},
    "saco-gold-mean": {
        PAPER: {"cgf1": 0.475, "pmf1": 0.560, "il_mcc": 0.84},
        "SAM 3": {"cgf1": 0.541, "pmf1": 0.661, "il_mcc": 0.82},
        "OWLv2": {"cgf1": 0.246}, "DINO-X": {"cgf1": 0.213},
    },
}  # fmt: skip
#: What must be known of a published row.
REMARKS = {
    "cityscapes": "SegMan-L was trained on these classes (closed set).",
    "reasonseg-val": "The paper's row is with queries rewritten by a language model.",
    "saco-gold-mean": "The paper asks a language model whether a thing is there.",
}
#: Means over benchmarks: their title, and what they are the mean of.
MEANS = {
    "depth-mean": ("mean of 6", ("nyuv2-depth", "ibims1-depth", "eth3d-depth", "diode-depth",
                                 "kitti-depth", "nuscenes-depth")),
    "saco-gold-mean": (
        "SA-Co/Gold, mean of 7",
        tuple(f"saco-gold-{part}" for part in
              ("metaclip", "sa1b", "crowded", "fg-food", "fg-sports-equipment", "attributes", "wiki-common")),
    ),
}  # fmt: skip
