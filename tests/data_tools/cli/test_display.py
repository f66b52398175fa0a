from mindgpt_data.cli import display
from pytest import CaptureFixture, MonkeyPatch


def test_a_log_gets_lines_only_from_long_stages_and_their_last_state(
    capsys: CaptureFixture[str], monkeypatch: MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    with display.show_updates("run") as progress:
        progress({"stage": "images", "step": 1, "total": 2})
        progress({"stage": "images", "step": 2, "total": 2})
        for step in range(1, 13):
            now[0] += 1.0
            progress({"stage": "generate", "step": step, "total": 12, "rate": 1.0, "failed": 2, "cost": 0.5, "eta": 65})
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "generate: 6 of 12 · 1.0/s · failed 2 · cost 0.50 · 01:05 left"
    assert [line.split(" ·")[0] for line in lines] == [f"generate: {n} of 12" for n in (6, 11, 12)]
