# SPDX-License-Identifier: Apache-2.0
"""Small data sets in the layouts of the published ones, written from views of a room whose truth is known;
and a painter of it.

The room is a wall in front, a floor below and a box in front of the wall on the left, by plane geometry, so
that neither the package's renderer nor its loaders have a part in the truth.
"""

import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from oracle import answer_format

from vision_banana_ros.perception import Intrinsics, Question
from vision_banana_ros.tasks import depth, instances, normals, referring, semantic
from vision_banana_ros.tasks.colors import far_apart

WALL, FLOOR, BOX = 0, 1, 2
TEXTS = ("the box on the left", "the floor", "what one stands on", "the far wall")
PLACES = (BOX, FLOOR, FLOOR, WALL)
STEP = 20  # of the blue channel, by which a picture is known again


@dataclass(frozen=True)
class Room:
    """A view. normals: the paper's frame. parts: WALL, FLOOR or BOX of each pixel."""

    number: int
    image: np.ndarray
    depth_m: np.ndarray
    normals: np.ndarray
    parts: np.ndarray
    camera: Intrinsics

    def mask(self, text):
        return self.parts == PLACES[TEXTS.index(text)]

    def cut(self, rows, columns):
        camera = self.camera
        size = rows.stop - rows.start, columns.stop - columns.start
        moved = Intrinsics(
            size[1], size[0], camera.fx, camera.fy, camera.cx - columns.start, camera.cy - rows.start
        )
        arrays = {
            name: np.ascontiguousarray(getattr(self, name)[rows, columns])
            for name in ("image", "depth_m", "normals", "parts")
        }
        return replace(self, camera=moved, **arrays)


def room(number, size, camera):
    """View `number`: the wall 4 m away and more, the floor 1.2 m below, the box at half the way."""
    height, width = size
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    far = 4.0 + number
    down = (rows - camera.cy) / camera.fy
    with np.errstate(divide="ignore"):
        floor = np.where(down > 0, 1.2 / np.maximum(down, 1e-9), np.inf)
    box = (columns > 0.1 * width) & (columns < 0.3 * width) & (rows > 0.3 * height) & (rows < 0.7 * height)
    parts = np.where(floor < far, FLOOR, WALL)
    depth_m = np.minimum(floor, far)
    inside = box & (far / 2 < depth_m)
    depth_m, parts = np.where(inside, far / 2, depth_m), np.where(inside, BOX, parts)
    facing = np.where((parts == FLOOR)[..., None], (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    image = np.empty((*size, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = 60 + 60 * parts, 90, 10 + STEP * number
    return Room(number, image, depth_m.astype(np.float32), facing.astype(np.float32), parts, camera)


def rooms(count, size, camera=None):
    camera = camera or Intrinsics(size[1], size[0], 0.9 * size[1], 0.9 * size[1], size[1] / 2, size[0] / 2.2)
    return [room(number, size, camera) for number in range(count)]


class Painter:
    """Paints the truth of the room that it sees, in the colours that it is asked for; `spoil` bends the
    room first."""

    def __init__(self, views, labels=None, legend=None, spoil=lambda view: view, **formats):
        self.views, self.labels, self.spoil = views, labels, spoil
        self.size = views[0].image.shape[:2]
        self.manifest = answer_format(legend=legend or {}, **{"depth_range_m": (0.05, 100.0), **formats})
        self.painted = 0

    def paint(self, image, instructions):
        self.painted += 1
        number = round((float(np.median(image[..., 2])) - 10) / STEP)
        view = self.spoil(next(view for view in self.views if view.number == number))
        return np.stack([self._answer(view, text) for text in instructions]).astype(np.float32)

    def _answer(self, view, instruction):
        if instruction == depth.instruction():
            return depth.encode(view.depth_m)
        if instruction == normals.instruction():
            return normals.encode(view.normals)
        if self.labels is not None and instruction == semantic.instruction(self.labels[1]):
            return semantic.encode(self.labels[0][view.parts], self.labels[1])
        together = dict(zip(TEXTS, far_apart(len(TEXTS), ["black"]), strict=True))
        if instruction == referring.instruction_many(together):
            return referring.encode_many([view.mask(text) for text in TEXTS], list(together.values()))
        for text in TEXTS:
            color = far_apart(1, ["black"])[0]
            if instruction == referring.instruction(text, color):
                return referring.encode(view.mask(text), color)
            if instruction == Question.instances(text).instruction:
                return instances.encode(view.mask(text).astype(np.int64))
        return instances.encode(np.zeros(view.parts.shape, np.int64))  # what is not there


# ---- the layouts


def save(file, image):
    file.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(file.suffix, image[..., ::-1] if image.ndim == 3 else image)
    assert ok
    file.write_bytes(data.tobytes())


def save_array(file, array):
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, array)


def save_json(file, value):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def write_nyuv2(root: Path, views):
    """Three frames, of which the last two are for testing."""
    import h5py
    import scipy.io

    frames = [views[0], *views]
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w") as mat:
        mat["images"] = np.stack([view.image.transpose(2, 1, 0) for view in frames])
        mat["rawDepths"] = np.stack([view.depth_m.T for view in frames])
    numbers = np.arange(2, 2 + len(views), dtype=np.uint16)[:, None]
    scipy.io.savemat(root / "splits.mat", {"testNdxs": numbers, "trainNdxs": np.array([[1]], np.uint16)})


def write_dsine(root: Path, views, kind, scene, image="png"):
    for view in views:
        stem = root / scene / f"{view.number:06d}"
        outward = view.normals * (-1, 1, 1)
        save(Path(f"{stem}_img.{image}"), view.image)
        k = view.camera
        save_array(
            Path(f"{stem}_intrins.npy"), np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]], np.float32)
        )
        if kind == "exr":
            import OpenEXR

            pixels = {"RGB": outward.astype(np.float32)}
            OpenEXR.File(
                {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, pixels
            ).write(f"{stem}_normal.exr")
        else:
            most, number = (65535, np.uint16) if kind == "png16" else (255, np.uint8)
            save(Path(f"{stem}_normal.png"), np.rint((outward + 1) / 2 * most).astype(number))


def write_ibims1(root: Path, views):
    """In each the first ten rows are invalid, and the first ten columns are glass."""
    import scipy.io

    (root / "ibims1_core_mat").mkdir(parents=True)
    names = [f"room_{view.number:02d}" for view in views]
    (root / "imagelist.txt").write_text("\n".join(names) + "\n")
    for name, view in zip(names, views, strict=True):
        valid, opaque = np.ones(view.parts.shape, np.uint8), np.ones(view.parts.shape, np.uint8)
        valid[:10], opaque[:, :10] = 0, 0
        k = view.camera
        calib = np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]]).T
        data = {"rgb": view.image, "depth": view.depth_m.astype(np.float64), "calib": calib}
        data |= {"mask_invalid": valid, "mask_transp": opaque}
        scipy.io.savemat(root / "ibims1_core_mat" / f"{name}.mat", {"data": data})


def write_eth3d(root: Path, views):
    scene = root / "office"
    k = views[0].camera
    (scene / "dslr_calibration_jpg").mkdir(parents=True)
    row = (
        f"0 THIN_PRISM_FISHEYE {k.width} {k.height} {k.fx} {k.fy} {k.cx + 0.5} {k.cy + 0.5} 0.1 0 0 0 0 0"
        " 0 0\n"
    )
    (scene / "dslr_calibration_jpg" / "cameras.txt").write_text("# cameras\n" + row)
    listed = "".join(
        f"{view.number} 1 0 0 0 0 0 0 0 dslr_images/DSC_{view.number:04d}.JPG\n1.0 2.0 -1\n" for view in views
    )
    (scene / "dslr_calibration_jpg" / "images.txt").write_text("# images\n" + listed)
    for view in views:
        save(scene / "images" / "dslr_images" / f"DSC_{view.number:04d}.JPG", view.image)
        truth = scene / "ground_truth_depth" / "dslr_images" / f"DSC_{view.number:04d}.JPG"
        truth.parent.mkdir(parents=True, exist_ok=True)
        truth.write_bytes(np.where(view.parts == BOX, np.inf, view.depth_m).astype("<f4").tobytes())


def write_diode(root: Path, views):
    """The first 20 rows are masked; of the normals every second column points away."""
    for view in views:
        stem = f"indoors/scene_00019/scan_00183/00019_00183_indoors_000_{view.number:03d}"
        save(root / f"{stem}.png", view.image)
        mask = np.ones(view.parts.shape, np.float32)
        mask[:20] = 0
        save_array(root / f"{stem}_depth.npy", view.depth_m[..., None])
        save_array(root / f"{stem}_depth_mask.npy", mask)
        turned = view.normals.copy()
        turned[:, ::2] *= -1
        save_array(root / f"{stem}_normal.npy", turned)


KITTI_SIZE = (375, 1242)
KITTI_WINDOW = slice(23, 375), slice(13, 1229)


def write_kitti(root: Path, views):
    """One frame in the validation part of the depth benchmark, the others in train; the list in both of
    its usual forms."""
    lines = []
    k = views[0].camera
    for view in views:
        day, drive, number = "2011_09_26", "2011_09_26_drive_0002_sync", f"{view.number:010d}"
        save(root / day / drive / "image_02" / "data" / f"{number}.png", view.image)
        part = "train" if view.number else "val"
        truth = np.rint(view.depth_m * 256).astype(np.uint16)
        truth[1::2] = 0
        save(root / part / drive / "proj_depth" / "groundtruth" / "image_02" / f"{number}.png", truth)
        lines.append(
            f"{day}/{drive} {number} l"
            if view.number
            else f"{day}/{drive}/image_02/data/{number}.png {drive}/x.png 721.5"
        )
    # of the 697, some have no improved truth
    lines.append("2011_09_26/2011_09_26_drive_0009_sync 0000000001 l")
    (root / "eigen_test_files.txt").write_text("\n".join(lines) + "\n")
    p = " ".join(map(str, (k.fx, 0, k.cx, 44.8, 0, k.fy, k.cy, 0.2, 0, 0, 1, 0.003)))
    (root / "2011_09_26" / "calib_cam_to_cam.txt").write_text(f"calib_time: 09-Jan-2012\nP_rect_02: {p}\n")


def pose(angle, axis, translation):
    """A quaternion w, x, y, z and a translation, as a row of nuScenes, and the same as a matrix made by
    Rodrigues' formula."""
    axis = np.array(axis, np.float64) / np.linalg.norm(axis)
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(axis * angle)[0]
    matrix[:3, 3] = translation
    return {
        "rotation": [np.cos(angle / 2), *(np.sin(angle / 2) * axis)],
        "translation": list(translation),
    }, matrix


def write_nuscenes(root: Path, views):
    """A sweep of every 5th pixel, seen from the roof a moment before; and a frame of a scene that is not
    for validation."""
    camera_row, camera_on_car = pose(2.1, (1, -0.9, 0.8), (1.7, 0.0, 1.5))
    lidar_row, lidar_on_car = pose(-1.57, (0, 0, 1), (0.9, 0.0, 1.8))
    tables = {name: [] for name in ("sample", "sample_data", "ego_pose")}
    k = views[0].camera
    intrinsic = [[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]]
    for view in views:
        token = f"sample{view.number}"
        before_row, before = pose(0.30, (0, 0.1, 1), (100.0, 50.0, 0.0))
        now_row, now = pose(0.35, (0, 0.1, 1), (100.9, 50.3, 0.0))
        scene = "other" if view.number == len(views) - 1 else "first"
        tables["sample"].append({"token": token, "scene_token": scene, "timestamp": view.number})
        rows, columns = np.mgrid[: view.parts.shape[0] : 5, : view.parts.shape[1] : 5]
        z = view.depth_m[rows, columns].astype(np.float64)
        points = np.stack(
            [(columns - k.cx) / k.fx * z, (rows - k.cy) / k.fy * z, z, np.ones(z.shape)], -1
        ).reshape(-1, 4)
        points = points @ (np.linalg.inv(before @ lidar_on_car) @ now @ camera_on_car).T
        sweep = np.zeros((len(points), 5), "<f4")
        sweep[:, :3] = points[:, :3]
        files = f"samples/CAM_FRONT/{token}.jpg", f"samples/LIDAR_TOP/{token}.pcd.bin"
        save(root / files[0], view.image)
        (root / files[1]).parent.mkdir(parents=True, exist_ok=True)
        (root / files[1]).write_bytes(sweep.tobytes())
        for sensor, file, row in (("cam", files[0], now_row), ("lidar", files[1], before_row)):
            tables["ego_pose"].append({"token": f"{token}{sensor}", **row})
            data = {
                "token": f"{token}{sensor}",
                "sample_token": token,
                "filename": file,
                "is_key_frame": True,
            }
            tables["sample_data"].append(
                {**data, "calibrated_sensor_token": f"cs_{sensor}", "ego_pose_token": f"{token}{sensor}"}
            )
    tables["sensor"] = [{"token": "cam", "channel": "CAM_FRONT"}, {"token": "lidar", "channel": "LIDAR_TOP"}]
    tables["calibrated_sensor"] = [
        {"token": "cs_cam", "sensor_token": "cam", "camera_intrinsic": intrinsic, **camera_row},
        {"token": "cs_lidar", "sensor_token": "lidar", "camera_intrinsic": [], **lidar_row},
    ]
    tables["scene"] = [{"token": "first", "name": "scene-0003"}, {"token": "other", "name": "scene-0001"}]
    for name, rows in tables.items():
        save_json(root / "v1.0-trainval" / f"{name}.json", rows)
    (root / "val_scenes.txt").write_text("scene-0003\n")


CITYSCAPES_IDS = np.array([11, 7, 26], np.uint8)  # building, road, car
CITYSCAPES_TRAIN = np.array([2, 0, 13])


def write_cityscapes(root: Path, views):
    """The first 40 rows are void, as the own car's bonnet."""
    for view in views:
        stem = f"frankfurt/frankfurt_{view.number:06d}_000294"
        ids = CITYSCAPES_IDS[view.parts]
        ids[:40] = 1
        save(root / f"leftImg8bit/val/{stem}_leftImg8bit.png", view.image)
        save(root / f"gtFine/val/{stem}_gtFine_labelIds.png", ids)


def outline(mask):
    """The polygons of a mask, as COCO lists them."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [[float(v) for v in contour.ravel()] for contour in contours if len(contour) > 2]


def rle(mask):
    """Compressed run lengths, as text."""
    from pycocotools import mask as coco

    found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in found["size"]], "counts": found["counts"].decode()}


def write_refcoco(root: Path, views, folder="refcocog", by="umd", split="val"):
    """Each text of a view is a sentence; that of the floor has two. One mask is run lengths, the others
    compressed ones."""
    images, annotations, refs = [], [], []
    for view in views:
        name = f"COCO_train2014_{view.number:012d}.jpg"
        save(root / "images/mscoco/images/train2014" / name, view.image)
        height, width = view.parts.shape
        images.append({"id": view.number, "file_name": name, "height": height, "width": width})
        for part, sentences in ((BOX, TEXTS[:1]), (FLOOR, TEXTS[1:3]), (WALL, TEXTS[3:])):
            number = 10 * view.number + part
            annotations.append(
                {"id": number, "image_id": view.number, "segmentation": rle(view.parts == part)}
            )
            said = [{"sent": f" {text.capitalize()}", "sent_id": i} for i, text in enumerate(sentences)]
            refs.append(
                {
                    "ref_id": number,
                    "ann_id": number,
                    "image_id": view.number,
                    "split": split,
                    "sentences": said,
                }
            )
    refs.append({**refs[0], "ref_id": 999, "split": "train"})
    save_json(
        root / folder / "instances.json", {"images": images, "annotations": annotations, "categories": []}
    )
    (root / folder / f"refs({by}).p").write_bytes(pickle.dumps(refs, protocol=2))


def write_reasonseg(root: Path, views, split="val"):
    """The query is about the box; its left half is not scored."""
    for view in views:
        box = view.parts == BOX
        columns = np.flatnonzero(box.any(0))
        half = box & (np.arange(box.shape[1]) < columns.mean())
        polygons = [{"label": "target", "points": np.array(o).reshape(-1, 2).tolist()} for o in outline(box)]
        polygons += [
            {"label": "ignore", "points": np.array(o).reshape(-1, 2).tolist()} for o in outline(half)
        ]
        polygons.append({"label": "flag", "points": [[0, 0], [5, 0], [5, 5]]})
        save(root / split / f"{view.number}_room.jpg", view.image)
        save_json(
            root / split / f"{view.number}_room.json",
            {"text": [TEXTS[0]], "is_sentence": False, "shapes": polygons},
        )


def write_saco_gold(root: Path, views, part="metaclip"):
    """Of each view: the box, which annotator b draws too large; and what is not there. One pair is not
    annotated in full by c."""
    for annotator in "abc":
        images, annotations = [], []
        for view in views:
            name = f"1/1001/metaclip_{view.number}.jpeg"
            if annotator == "a":
                save(root / "metaclip-images" / name, view.image)
            height, width = view.parts.shape
            for i, text in enumerate((TEXTS[0], "a green elephant", "everything")):
                number = 100 * view.number + i
                exhaustive = int(not (text == "everything" and annotator == "c"))
                row = {"id": number, "file_name": name, "text_input": text, "height": height, "width": width}
                images.append({**row, "is_instance_exhaustive": exhaustive, "is_pixel_exhaustive": 1})
            box = view.parts == BOX
            mask = cv2.dilate(box.astype(np.uint8), np.ones((15, 15), np.uint8)) if annotator == "b" else box
            annotations.append(
                {"id": view.number, "image_id": 100 * view.number, "segmentation": rle(mask), "iscrowd": 0}
            )
        file = root / "annotations" / f"gold_{part}_merged_{annotator}_release_test.json"
        save_json(
            file, {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "visual"}]}
        )


def write_real(root: Path, views):
    """Depth of every second pixel, and labels."""
    root.mkdir(parents=True, exist_ok=True)
    for view in views:
        k = view.camera
        sparse = np.where(np.indices(view.parts.shape).sum(0) % 2 == 0, view.depth_m, np.nan)
        matrix = np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]])
        save(root / f"room{view.number}.png", view.image)
        np.savez_compressed(
            root / f"room{view.number}_depth.npz", depth_m=sparse.astype(np.float32), k=matrix
        )
        save(root / f"room{view.number}_labels.png", view.parts.astype(np.uint8))
    save_json(root / "classes.json", ["wall", "floor", "box"])
