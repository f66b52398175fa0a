"""The export step: pictures once, splits clean and stable, nothing lost without a reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindgpt_data.export import copy_picture, list_sets, read_set, save_image
from mindgpt_data.export.split import assign_splits
from mindgpt_data.io.images import ImageError
from mindgpt_data.io.work import Work
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row
from mindgpt_data.steps.export import ExportError, run
from PIL import Image
from support.gate_helpers import noise, record, row

from mindgpt_plugins.core import files


def corpus(folder: Path, rows: list[Row], **fixed: dict[str, Any]) -> Work:
    """A work folder with the pictures that rows name; ``fixed``: picture (without .png) → fields of its record."""
    folder.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(image for one in rows for image in one.image if image.endswith(".png"))
    records = [record(folder, n, i, **fixed.get(n[:-4], {})) for i, n in enumerate(sorted(names))]
    files.write_jsonl(folder / "images.jsonl", (one.to_json() for one in records))
    files.write_jsonl(folder / "kept.jsonl", (one.to_json() for one in rows))
    return Work(folder)


def config(**export: Any) -> DataSettings:
    return DataSettings.model_validate({"images": {"path": "x"}, "export": {"name": "d", **export}})


def exported(work: Work) -> dict[str, list[Row]]:
    return {name: read_set(work.datasets, name) for name in list_sets(work.datasets)}


def test_sets_share_no_picture_and_every_row_is_somewhere(tmp_path: Path) -> None:
    rows = [row(f"u{i}", f"{i % 40:02}.png") for i in range(120)]
    rows += [dataclasses.replace(row(f"two{i}"), image=[f"{i:02}.png", f"{i + 1:02}.png"]) for i in range(0, 12, 2)]
    work = corpus(tmp_path, rows)
    summary = run(work, config(dev=0.2, test=0.2))
    found = exported(work)
    assert sorted(found) == ["d_dev", "d_test", "d_train"]
    assert sum(map(len, found.values())) == len(rows) == summary["items"]
    shown = {name: {image for one in members for image in one.image} for name, members in found.items()}
    assert sum(map(len, shown.values())) == len(set().union(*shown.values())) == 40
    assert len(list((work.datasets / "images").iterdir())) == 40
    assert all(one.split == name[2:] for name, members in found.items() for one in members)
    first = {p.name: p.read_bytes() for p in work.datasets.iterdir() if p.is_file()}
    run(work, config(dev=0.2, test=0.2))
    assert {p.name: p.read_bytes() for p in work.datasets.iterdir() if p.is_file()} == first


def test_a_corpus_that_is_one_split_as_a_whole_is_one_set_in_a_shared_folder(tmp_path: Path) -> None:
    for name, split in (("exam", "test"), ("lessons", "train")):
        made = corpus(tmp_path / name, [row(f"{name}{i}", f"{i}.png") for i in range(6)])
        run(Work(made.folder, tmp_path / "all"), config(name=name, split=split))
    assert list_sets(tmp_path / "all") == ["exam", "lessons"]
    assert {one.split for one in read_set(tmp_path / "all", "exam")} == {"test"}
    assert not (tmp_path / "exam" / "datasets").exists()
    fixed = corpus(tmp_path / "c", [row("u", "a.png")], a={"split": "test"})
    with pytest.raises(ExportError, match="the corpus says that 'a.png' is test"):
        run(fixed, config(split="train"))
    with pytest.raises(ValueError, match="no share can be dev or test"):
        config(split="train", dev=0.1)


NAMES = st.sampled_from("abcdefgh")


@given(st.lists(st.lists(NAMES, min_size=1, max_size=2, unique=True), max_size=12), st.integers(0, 9))
def test_split_is_clean_and_pictures_added_later_move_none(shows: list[list[str]], seed: int) -> None:
    rows = [row(f"u{i}") for i in range(len(shows))]
    ties = {one.uid: [f"content:{n}" for n in names] for one, names in zip(rows, shows, strict=True)}
    shares = {"dev": 0.3, "test": 0.3}
    splits, torn = assign_splits(rows, ties, [], shares, seed)
    assert not torn and set(splits) == set(ties)
    where: dict[str, set[str]] = {}
    for uid, names in ties.items():
        for name in names:
            where.setdefault(name, set()).add(splits[uid])
    assert all(len(found) == 1 for found in where.values())
    later = [*rows, row("new")]
    again, _ = assign_splits(later, ties | {"new": ["content:z"]}, [], shares, seed)
    assert {uid: split for uid, split in again.items() if uid != "new"} == splits


def test_shares_are_met_on_average() -> None:
    rows = [row(f"u{i}") for i in range(4000)]
    splits, _ = assign_splits(rows, {one.uid: [f"content:{one.uid}"] for one in rows}, [], {"dev": 0.1, "test": 0.2}, 0)
    counts = [list(splits.values()).count(split) for split in ("train", "dev", "test")]
    assert all(abs(n / 4000 - share) < 0.02 for n, share in zip(counts, (0.7, 0.1, 0.2), strict=True))


def test_fixed_splits_and_twins_are_honoured(tmp_path: Path) -> None:
    def twin(uid: str, image: str, of: str) -> Row:
        return row(uid, image, type="adversarial", twin_uid=of)

    rows = [
        row("a", "a.png"), row("b", "b.png"), row("c", "c.png"), row("d", "d.png"),
        twin("b same", "b.png", "b"), twin("b swapped", "e.png", "b"), twin("b leaks", "a.png", "b"),
        twin("d e", "e.png", "d"), twin("alone", "a.png", "gone"),
        dataclasses.replace(row("ab"), image=["a.png", "b.png"]),
    ]  # fmt: skip
    fixed = {"a": {"split": "test"}, "b": {"split": "dev"}, "c": {"split": "train"}}
    work = corpus(tmp_path, rows, **fixed)
    summary = run(work, config())
    assert {name: [one.uid for one in members] for name, members in exported(work).items()} == {
        "d_train": ["c", "d"], "d_dev": ["b", "b same", "b swapped"], "d_test": ["a"],
    }  # fmt: skip
    assert {d.key: d.reason for d in work.read_drops("export")} == {
        "ab": "its pictures belong to different splits",
        "b leaks": "shows a picture of another split than its answerable twin",
        "d e": "shows a picture of another split than its answerable twin",
        "alone": "its answerable twin was left out",
    }
    assert summary["types"] == {"verifiable": 4, "adversarial": 2}


def test_adversarial_twins_are_made_beside_their_partners(tmp_path: Path) -> None:
    rows = [row(f"u{i}", f"{i}.png", answer_type="text", answer="red", response="answer: red") for i in range(10)]
    work = corpus(tmp_path, rows)
    settings = config(test=0.4)
    settings = settings.model_copy(update={"generate": settings.generate.model_copy(update={"adversarial": 0.3})})
    assert run(work, settings)["types"] == {"verifiable": 10, "adversarial": 3}
    for members in exported(work).values():
        for i, one in enumerate(members):
            assert one.type == "verifiable" or members[i - 1].uid == one.twin_uid
            assert (work.datasets / one.image[0]).is_file()


def test_a_group_stays_together(tmp_path: Path) -> None:
    rows = [row(f"u{i}", f"{i}.png") for i in range(8)]
    work = corpus(tmp_path, rows, **{str(i): {"group": f"scene{i // 4}"} for i in range(8)})
    for seed in range(6):
        run(work, config(test=0.5), seed=seed)
        where = {one.uid: name for name, members in exported(work).items() for one in members}
        assert len({where[f"u{i}"] for i in range(4)}) == len({where[f"u{i}"] for i in range(4, 8)}) == 1


def test_a_set_without_rows_is_taken_away(tmp_path: Path) -> None:
    work = corpus(tmp_path, [row(f"u{i}", f"{i}.png") for i in range(20)])
    run(work, config(test=0.5))
    assert "d_test" in list_sets(work.datasets)
    run(work, config())
    assert list_sets(work.datasets) == ["d_train"]
    assert not list(work.datasets.glob("d_test*"))


def test_unreadable_and_unknown_pictures_are_left_out_with_a_reason(tmp_path: Path) -> None:
    rows = [row("a", "a.png"), row("b", "b.png"), row("c", "none.jpg"), row("made", "twins/blank.jpg")]
    work = corpus(tmp_path, rows)
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    (tmp_path / "twins").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "twins/blank.jpg")
    run(work, config())
    assert [one.uid for one in exported(work)["d_train"]] == ["a", "made"]
    reasons = {d.key: d.reason for d in work.read_drops("export")}
    assert reasons == {"b": "truncated or corrupt", "c": "not in images.jsonl"}
    files.write_jsonl(work.kept, [row("b", "b.png").to_json()])
    with pytest.raises(ExportError, match=r"most often \(1\): picture: truncated"):
        run(work, config())


def test_a_record_of_several_pictures_becomes_several_tags(tmp_path: Path) -> None:
    work = corpus(tmp_path, [row("a", "a.png")])
    Image.new("RGB", (40, 40), "blue").save(tmp_path / "second.png")
    one = ImageRecord.from_json(next(files.read_jsonl(work.images))[1])
    two = dataclasses.replace(one, paths=[*one.paths, str(tmp_path / "second.png")])
    files.write_jsonl(work.images, [two.to_json()])
    run(work, config())
    (made,) = exported(work)["d_train"]
    assert len(set(made.image)) == 2 and made.prompt.startswith("<image><image>How")


def test_pictures_are_copied_as_they_are_unless_a_trainer_would_show_them_otherwise(tmp_path: Path) -> None:
    picture = noise((40, 24))
    out = tmp_path / "out"
    for name, image in (("a.jpg", picture), ("b.webp", picture), ("c.png", picture.convert("L"))):
        image.save(tmp_path / name)
        copied = out / copy_picture(tmp_path / name, out)
        assert copied.suffix == Path(name).suffix and copied.read_bytes() == (tmp_path / name).read_bytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.new("RGBA", (40, 24), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    picture.save(tmp_path / "d.bmp")
    for name, size in (("turned.jpg", (24, 40)), ("cmyk.jpg", (40, 24)), ("clear.png", (40, 24)), ("d.bmp", (40, 24))):
        with Image.open(out / copy_picture(tmp_path / name, out)) as made:
            assert (made.format, made.mode, made.size) == ("PNG", "RGB", size)
            assert made.getexif().get(0x0112, 1) == 1
    # Equal pixels are one file, whatever their format.
    picture.save(tmp_path / "d.png")
    assert copy_picture(tmp_path / "d.png", out) == copy_picture(tmp_path / "d.bmp", out) == save_image(picture, out)
    with pytest.raises(ImageError, match="empty file"):
        (tmp_path / "e.png").write_bytes(b"")
        copy_picture(tmp_path / "e.png", out)
