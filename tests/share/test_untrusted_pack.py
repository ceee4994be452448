"""Packs from outside: everything is checked before it is used, and nothing is unpacked to disk."""

import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from safetensors.torch import load, save

from cxrlt_cli.artifacts.pack import pack_members, read_pack, write_pack
from cxrlt_cli.artifacts.untrusted_spec import check_spec
from cxrlt_cli.errors import UserError
from cxrlt_cli.predict.members import packed_members

Members = dict[str, bytes]


def _members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(path: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _with(change: Callable[[Members], object]) -> Callable[[Path], None]:
    """Writes a zip again after a change of its members."""

    def damage(path: Path) -> None:
        members = _members(path)
        change(members)
        _zipped(path, members)

    return damage


def _described(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Writes a zip again after a change of `pack.json`."""

    def own(members: Members) -> None:
        content = json.loads(members["pack.json"])
        change(content)
        members["pack.json"] = json.dumps(content).encode()

    return _with(own)


def _spec(**values: object) -> Callable[[Path], None]:
    return _described(lambda content: content["runs"][0]["checkpoint"]["spec"].update(values))


def _bomb(path: Path) -> None:
    """A text of 1 GB of blanks, which is small in the zip."""
    members = _members(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("card.md", "w", force_zip64=True) as text:
            for _ in range(65):
                text.write(bytes(1 << 20))
        for name, content in members.items():
            if name != "card.md":
                archive.writestr(name, content, zipfile.ZIP_STORED)


def _says_less(path: Path) -> None:
    """The same bomb, whose directory says that it is small."""
    _bomb(path)
    content = bytearray(path.read_bytes())
    size = struct.pack("<I", 65 << 20)
    while (place := content.find(size)) >= 0:
        content[place : place + 4] = struct.pack("<I", 10)
    path.write_bytes(content)


def _overlapping(path: Path) -> None:
    """A second name for the bytes of the first weights."""
    with zipfile.ZipFile(path, "a") as archive:
        entry = archive.getinfo("weights/0.safetensors")
        for number in range(1, 5):
            other = zipfile.ZipInfo(f"weights/{number}.safetensors")
            other.header_offset, other.CRC, other.file_size = entry.header_offset, entry.CRC, entry.file_size
            other.compress_size = entry.compress_size
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
        archive._didModify = True  # type: ignore[attr-defined]


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a path upwards": (_with(lambda members: members.update({"../evil.txt": b""})), "is not a pack: it holds"),
    "an absolute path": (_with(lambda members: members.update({"/tmp/evil": b""})), "is not a pack: it holds"),
    "a pickle": (_with(lambda members: members.update({"weights/0.pt": pickle.dumps(print)})), "is not a pack: it holds"),
    "a pickle under the name of the weights": (
        _with(lambda members: members.update({"weights/0.safetensors": pickle.dumps(print)})),
        "SHA-256",
    ),
    "no description": (_with(lambda members: members.pop("pack.json")), "it has no pack.json"),
    "no weights": (_with(lambda members: members.pop("weights/0.safetensors")), "SHA-256.*weights/0.safetensors"),
    "other weights": (
        _with(lambda members: members.update({"weights/0.safetensors": save({"w": torch.zeros(2)})})),
        "SHA-256.*weights/0.safetensors",
    ),
    "another card": (_with(lambda members: members.update({"card.md": b"# Approved"})), "SHA-256.*card.md"),
    "not JSON": (_with(lambda members: members.update({"pack.json": b"{"})), "is damaged"),
    "nested without end": (_with(lambda members: members.update({"pack.json": b"[" * 200_000})), "is damaged"),
    "another version": (_described(lambda content: content.update(version=9)), "is not cxrlt pack of version 1"),
    "no run": (_described(lambda content: content.update(runs=[])), "no run with a weight"),
    "a negative weight": (_described(lambda content: content["runs"][0].update(weight=-1)), "a negative weight"),
    "a calibration that no fit gives": (
        _described(lambda content: content["calibration"]["fitted"].update(Hernia={"temperature": 0})),
        "whose calibration no fit gives",
    ),
    "a calibration named by a path": (_described(lambda content: content["calibration"].update(name="../x")), "not a name"),
    "classes twice": (
        _described(lambda content: content["runs"][0]["checkpoint"].update(classes=["a", "a", "b"])),
        "is damaged",
    ),
    "compressed weights": (lambda path: _zipped(path, _members(path), zipfile.ZIP_DEFLATED), "too large, compressed"),
    "a zip bomb": (_bomb, "card.md is too large"),
    "a zip bomb that says less": (_says_less, "is damaged|is not a pack"),
    "overlapping members": (_overlapping, "overlap"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "it is no zip file"),
    "a wide network": (_spec(embedding=1 << 40), "spec.embedding is"),
    "a deep network": (_spec(decoder={"layers": 10_000}), "spec.decoder.layers is"),
    "weights from elsewhere": (_spec(architecture={"values": {"arguments": {"pretrained": True}}}), "load other weights"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_pack_from_outside_is_checked(kind: str, made_models: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(made_models / "packs/a.zip", tmp_path / "outside.zip"))
    damage, message = DAMAGE[kind]
    damage(path)
    with pytest.raises(UserError, match=message):
        read_pack(path)
    assert [one.name for one in tmp_path.iterdir()] == ["outside.zip"]


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": "resnet9000"},
        {"kind": "odd"},
        {"decoder": {"heads": 0}},
        {"encoder": "hf:a/b", "architecture": {"library": "transformers", "values": {}}},
        {"encoder": "hf:a/b", "architecture": 3},
    ],
)
def test_an_architecture_that_does_not_fit_is_one_message(change: dict[str, object], made_models: Path) -> None:
    path = made_models / "packs/a.zip"
    pack = read_pack(path)
    pack.runs[0].checkpoint.spec.update(change)
    with pytest.raises(UserError, match=r"a\.zip|resnet9000"):
        packed_members(pack, path, torch.device("cpu"))


def test_what_is_read_is_what_was_written(made_models: Path, tmp_path: Path) -> None:
    path = made_models / "packs/a.zip"
    pack = read_pack(path)
    assert [run.name for run in pack.runs] == ["a"]
    written = load(_members(path)["weights/0.safetensors"])
    assert {name: tuple(value.shape) for name, value in pack.runs[0].checkpoint.model.items()} == {
        name: tuple(value.shape) for name, value in written.items()
    }
    write_pack(tmp_path / "b.zip", pack_members(pack, {}))
    again = read_pack(tmp_path / "b.zip")
    assert (again.thresholds, again.data_sources) == (pack.thresholds, pack.data_sources)
    assert again.calibration is not None
    assert pack.calibration is not None
    assert again.calibration.fitted == pack.calibration.fitted


def test_numbers_of_a_real_architecture_pass() -> None:
    weights = {"w": torch.zeros(5000, 2), "v": torch.zeros(3)}
    architecture = {"width": 5000, "label2id": {"x": 20_000}, "pretrained": False}
    check_spec({"decoder": {"layers": 2}, "architecture": architecture}, weights)
    with pytest.raises(ValueError, match=r"spec\.architecture\.width is 5001"):
        check_spec({"architecture": {"width": 5001}}, weights)


def test_predict_refuses_it_in_one_message(cxrlt: Run, tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04", b"text"):
        (tmp_path / "x.zip").write_bytes(content)
        ended = cxrlt("predict", "--pack", "x.zip", "--images", tmp_path)
        assert ended.code == 2
        assert "x.zip" in ended.err
    ended = cxrlt("predict", "--pack", "absent.zip", "--images", tmp_path)
    assert ended.code == 2
    assert "absent.zip is not there" in ended.err
