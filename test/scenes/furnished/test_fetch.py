# SPDX-License-Identifier: Apache-2.0
"""`vision-banana scenes`: getting the models from folders and mirrors, and looking at scenes."""

import json
import lzma
import os
import resource
import socket
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from furnished_support import MODELS, write_catalogue

from vision_banana_ros.cli.main import main
from vision_banana_ros.errors import InputError
from vision_banana_ros.scenes.furnished.fetch import PACKAGES, fetch, unpack
from vision_banana_ros.scenes.furnished.library import Library, build

FEW = tuple(m for m in MODELS if m[0] in ("Table", "Chair", "Sofa", "Window", "Door", "Acacia", "Box"))


def deb(path: Path, content: dict[str, bytes]) -> Path:
    """A Debian package: an ar archive with a tar of the files."""
    tar = BytesIO()
    with tarfile.open(fileobj=tar, mode="w:xz") as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(f"./usr/share/sweethome3d/{name}")
            info.size = len(data)
            archive.addfile(info, BytesIO(data))
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": tar.getvalue()}
    path.write_bytes(package_of(parts))
    return path


def package_of(parts: dict[str, bytes]) -> bytes:
    """An ar archive."""
    made = b"!<arch>\n"
    for name, data in parts.items():
        made += f"{name:<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{len(data):<10}`\n".encode()
        made += data + b"\n" * (len(data) % 2)
    return made


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both packages."""
    folder = tmp_path_factory.mktemp("packages")
    boxes = write_catalogue(folder / "boxes.sh3f", FEW).read_bytes()
    (folder / "boxes.sh3f").unlink()
    deb(folder / "sweethome3d-furniture_1_all.deb", {"furniture/boxes.sh3f": boxes, "readme": b"no"})
    deb(folder / "sweethome3d_1_all.deb", {"readme": b"no catalogue in this one"})
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vision_banana" / "furnished"


def test_fetch_and_show(
    packages: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("embreex")
    assert main(["scenes", "show", "3", "--furnished", "--out", str(tmp_path / "s.png")]) == 2
    assert "vision-banana scenes fetch" in capsys.readouterr().err
    assert main(["scenes", "fetch", "--from", str(packages)]) == 0
    out = capsys.readouterr().out
    assert str(cache) in out and "Jürgen" in out and "CC0" in out
    assert [p.name for p in cache.parent.iterdir()] == ["furnished"]  # nothing else is left behind
    assert main(["scenes", "authors"]) == 0 and "Jürgen" in capsys.readouterr().out
    command = ["scenes", "show", "3", "--furnished", "--size", "96", "72", "--out", str(tmp_path / "s.png")]
    assert main([*command, "--kind", "living room"]) == 0
    picture = cv2.imread(str(tmp_path / "s.png"))
    assert picture is not None and picture.std() > 10 and picture.shape[1] > 1000
    assert main([*command, "--kind", "castle"]) == 2 and "castle" in capsys.readouterr().err
    assert main([*command, "--split", "test"]) == 0


def test_procedural_scenes_show_without_models(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            ["scenes", "show", "3", "--kind", "yard", "--size", "96", "72", "--out", str(tmp_path / "s.png")]
        )
        == 0
    )
    assert "yard" in capsys.readouterr().out or (tmp_path / "s.png").is_file()
    assert main(["scenes", "show", "3", "--size", "9", "72"]) == 2
    assert "16 to 4096" in capsys.readouterr().err


def test_folders_that_hold_nothing(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        fetch(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither .deb files nor .sh3f"):
        fetch(str(tmp_path / "empty"))
    assert not cache.exists()


def test_a_cut_package_is_told(packages: Path, tmp_path: Path) -> None:
    whole = next(packages.glob("*furniture*.deb")).read_bytes()
    for name, data in (
        ("cut", whole[: len(whole) // 2]),
        ("other", b"PK" + whole),
        ("altered", whole.replace(b"7zXZ", b"7zXx")),
    ):
        path = tmp_path / f"{name}.deb"
        path.write_bytes(data)
        with pytest.raises(InputError, match="no whole Debian package"):
            unpack(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["x.deb", "x.sh3f"])
def test_pipes_by_the_names_of_packages_are_not_waited_for(tmp_path: Path, cache: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / name)
    with pytest.raises(InputError, match="no ordinary file"):
        fetch(str(tmp_path / "in"))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.REGTYPE])
def test_a_header_that_is_as_long_as_a_bomb_is_not_unpacked(tmp_path: Path, kind: bytes) -> None:
    header = tarfile.TarInfo("a.sh3f")
    header.type, header.size = kind, 1_500_000_000
    packed = lzma.LZMACompressor(preset=0)
    content = packed.compress(header.tobuf(tarfile.USTAR_FORMAT))
    content += packed.compress(bytes(80_000_000)) + packed.flush()
    (tmp_path / "x.deb").write_bytes(package_of({"data.tar.xz": content}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="no whole Debian package|unpacks to more"):
        unpack(tmp_path / "x.deb", tmp_path / "out")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # kilobytes


def catalogue(path: Path, model: str = "", textures: str = "", obj: str = "") -> Path:
    """A `.sh3f` of one table, what its list says of it replaced by later lines."""
    table = "".join(f"{key}#1=50\n" for key in ("width", "depth", "height"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "PluginFurnitureCatalog.properties", f"name#1=Table\nmodel#1=/a.obj\n{table}{model}\n"
        )
        archive.writestr("PluginTexturesCatalog.properties", textures)
        archive.writestr("a.png", cv2.imencode(".png", np.full((9, 9, 3), 90, np.uint8))[1].tobytes())
        archive.writestr("a.mtl", "newmtl m\nKd 1 0 0\n")
        archive.writestr("a.obj", obj + "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\n")
    return path


def test_names_of_a_catalogue_may_hold_half_and_whole_pairs(tmp_path: Path) -> None:
    listed = catalogue(tmp_path / "x.sh3f", "name#1=Table \\ud800\ncreator#1=\\ud83d\\ude00")
    (item,) = build([listed], tmp_path / "out").items
    assert item.name == "Table \ufffd" and item.creator == "\U0001f600"


@pytest.mark.parametrize(
    "model", ["width#1=nan", "width#1=inf", "width#1=-50", "elevation#1=nan", "modelRotation#1=" + "inf " * 9]
)
def test_models_of_no_size_are_left_out(tmp_path: Path, model: str) -> None:
    with pytest.raises(InputError, match="None of the models"):
        build([catalogue(tmp_path / "x.sh3f", model)], tmp_path / "out")


def test_pictures_of_no_size_are_left_out_and_no_name_leads_elsewhere(tmp_path: Path) -> None:
    rows = [
        f"name#{k}=t\nimage#{k}=/a.png\ncategory#{k}=Wall\nwidth#{k}={width}\nheight#{k}=50"
        for k, width in enumerate(("nan", "0", "x", "50"), 1)
    ]
    library = build([catalogue(tmp_path / "x.sh3f", textures="\n".join(rows))], tmp_path / "out")
    (surface,) = library.surfaces
    assert surface.file == "models/surface_000.png" and surface.size_m == (0.5, 0.5)


def test_a_material_library_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(
        "vision_banana_ros.scenes.furnished.obj.parse_mtl", lambda text, find: read.append(text) or []
    )
    build([catalogue(tmp_path / "x.sh3f", obj="mtllib a.mtl\n" * 1000)], tmp_path / "out")
    assert len(read) == 1


def test_a_package_that_is_compressed_otherwise_names_the_cure(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(package_of({"data.tar.zst": b"(\xb5/\xfd"}))
    with pytest.raises(InputError, match="dpkg -x"):
        unpack(tmp_path / "x.deb", tmp_path / "out")


@pytest.fixture
def mirror(packages: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A Debian mirror on this machine: its address and its folder."""
    root = tmp_path / "debian"
    index = root / "dists/stable/main/binary-amd64"
    index.mkdir(parents=True)
    blocks = []
    for name in PACKAGES:
        data = next(packages.glob(f"{name}_*.deb")).read_bytes()
        (root / f"{name}.deb").write_bytes(data)
        blocks.append(
            f"Package: {name}\nDescription: many words\n of more\nFilename: {name}.deb\nSHA256:"
            f" {sha256(data).hexdigest()}"
        )
    (index / "Packages.xz").write_bytes(lzma.compress("\n\n".join(["Package: other", *blocks]).encode()))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", root
    server.shutdown()
    server.server_close()


def test_fetch_from_a_mirror_checks_what_it_gets(mirror: tuple[str, Path], cache: Path) -> None:
    url, root = mirror
    library = fetch(url)
    assert len(library.items) > 20 and library.folder == cache
    before = (cache / "index.json").read_bytes()
    package = root / f"{PACKAGES[0]}.deb"
    package.write_bytes(package.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="cut off or was altered"):
        fetch(url)
    package.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        fetch(url)
    (root / "dists/stable/main/binary-amd64/Packages.xz").write_bytes(lzma.compress(b"Package: other"))
    with pytest.raises(InputError, match="lists no package sweethome3d-furniture"):
        fetch(url)
    # what was there stays until there is something better
    assert (cache / "index.json").read_bytes() == before


@pytest.mark.parametrize(
    ("limit", "sentence"), [("MAX_LIST_BYTES", "lists no package"), ("MAX_BYTES", "is larger than 900 bytes")]
)
def test_lists_and_packages_of_a_mirror_are_read_up_to_a_bound(
    mirror: tuple[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch, limit: str, sentence: str
) -> None:
    url, root = mirror
    index = root / "dists/stable/main/binary-amd64/Packages.xz"
    # what is asked for stands behind a megabyte that takes a few bytes in the file
    index.write_bytes(lzma.compress(b"\n" * 1_000_000 + lzma.decompress(index.read_bytes())))
    monkeypatch.setattr(f"vision_banana_ros.scenes.furnished.fetch.{limit}", 900)
    with pytest.raises(InputError, match=sentence):
        fetch(url)


@pytest.mark.parametrize(
    "reply", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort", b""]
)
def test_a_mirror_that_answers_nonsense_is_a_sentence(cache: Path, reply: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError):  # the end of the test
                while True:
                    with server.accept()[0] as asking:
                        asking.recv(10_000)
                        asking.sendall(reply)

        Thread(target=answer, daemon=True).start()
        with pytest.raises(InputError, match="lists no package"):
            fetch(f"http://127.0.0.1:{server.getsockname()[1]}")
    with pytest.raises(InputError, match="lists no package"):
        fetch("http://127.0.0.1/a b")


def test_apt_that_fails_is_told(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "apt-get"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/bin:/usr/bin")
    with pytest.raises(InputError, match="Unable to locate package.*apt-get update"):
        fetch()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="no apt-get"):
        fetch()


@pytest.mark.parametrize("change", ["deep", "a list for a name", "a name of a megabyte"])
def test_an_index_that_was_altered_is_a_sentence(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "out"
    build([catalogue(tmp_path / "x.sh3f")], folder)
    index = json.loads((folder / "index.json").read_text())
    index["models"][0]["licence"] = ["a"] if change == "a list for a name" else "x" * 1_000_000
    (folder / "index.json").write_text("[" * 100_000 if change == "deep" else json.dumps(index))
    with pytest.raises(InputError, match="scenes fetch"):
        Library(folder)


def test_names_of_makers_are_shown_without_control_characters_and_shortened(tmp_path: Path) -> None:
    library = build([catalogue(tmp_path / "x.sh3f", "creator#1=\\u001b[2J" + "x" * 5000)], tmp_path / "out")
    assert "\x1b" not in library.credits() and len(library.credits()) < 2000


SEVEN_MORE = "".join(
    f"name#{k}=Table\nmodel#{k}=/a.obj\nwidth#{k}=50\ndepth#{k}=50\nheight#{k}=50\n" for k in range(2, 9)
)


def test_the_names_of_a_catalogue_are_listed_once_and_not_once_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a list of names a model, 20,000 models took minutes."""
    calls = []
    monkeypatch.setattr(
        zipfile.ZipFile,
        "namelist",
        lambda self: calls.append(1) or [each.filename for each in self.infolist()],
    )
    before = len(build([catalogue(tmp_path / "x.sh3f")], tmp_path / "one").items), len(calls)
    calls.clear()
    after = len(build([catalogue(tmp_path / "y.sh3f", SEVEN_MORE)], tmp_path / "two").items), len(calls)
    assert before[0] == 1 and after == (8, before[1])


@pytest.mark.parametrize(("limit", "most"), [("MOST_MODELS", 7), ("MAX_ARCHIVE_BYTES", 10_000)])
def test_a_catalogue_that_lists_more_models_than_one_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    listed = catalogue(tmp_path / "x.sh3f", SEVEN_MORE, obj=f"# {'x' * 2000}\n")
    monkeypatch.setattr(f"vision_banana_ros.scenes.furnished.library.{limit}", most)
    with pytest.raises(InputError, match="lists 8 models of .* more than a catalogue has"):
        build([listed], tmp_path / "out")
