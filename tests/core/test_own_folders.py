"""What we wrote is not read as a user's, whatever it is called; what a user wrote is, whatever it is called."""

from pathlib import Path

from mindgpt_plugins.core.own_folders import MARK, mark_own_folder, walk_user_folder


def test_marked_folders_are_left_out_wherever_they_are_but_not_where_they_are_named(tmp_path: Path) -> None:
    for name in ("a/x.png", "runs/x.png", "out/deep/x.png", ".git/x.png", "a/.hidden.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    mark_own_folder(tmp_path / "out")
    found = dict(walk_user_folder(tmp_path))
    named = {str(Path(at).relative_to(tmp_path)): names for at, names in found.items()}
    assert named == {".": [], "a": ["x.png"], "out": None, "runs": ["x.png"]}
    assert dict(walk_user_folder(tmp_path / "out"))[str(tmp_path / "out" / "deep")] == ["x.png"]
    assert "delete this file" in (tmp_path / "out" / MARK).read_text()
