import typer
from mindgpt_data.cli import generate as generate_verb
from mindgpt_data.cli import preview as verb
from mindgpt_data.steps import generate
from mindgpt_data.steps.preview import pick_spread_images, preview_generation, write_preview_page
from mindgpt_data.testing.stub import StubServer
from test_generate import _served, _work, _write
from typer.testing import CliRunner


def test_images_are_spread_over_the_density_range() -> None:
    scored = [(f"{i}", i / 10) for i in range(10)]
    assert pick_spread_images(scored, 4) == ["9", "6", "3", "0"]
    assert pick_spread_images(scored, 1) == ["4"]
    assert pick_spread_images(scored, 99) == [str(i) for i in range(9, -1, -1)]


def test_nothing_is_sent_unless_asked_and_then_not_paid_twice(tmp_path) -> None:
    work, data = _work(tmp_path)
    with StubServer(reply=_write, keep=True) as server:
        settings = _served(data, server)
        dry = preview_generation(work, settings, 3)
        assert server.requests == 0
        assert all(len(one.job.slots) == one.job.items and not one.candidates for one in dry)
        asked = preview_generation(work, settings, 3, ask=True)
        assert server.requests == 3
        sent = {body["messages"][-1]["content"][-1]["text"] for body in server.bodies}
        assert sent == {one.messages[-1][1].removeprefix("[picture]\n") for one in dry}
        assert all(len(one.candidates) == one.job.items for one in asked)
        generate.run(work, settings)
        assert server.requests == 8
    write_preview_page(asked, tmp_path / "p.html")
    html = (tmp_path / "p.html").read_text()
    assert html.count("data:image/") == 3
    assert "<script" not in html


def test_the_page_escapes_what_the_model_says(tmp_path) -> None:
    work, data = _work(tmp_path, 1)
    evil = "<script>alert(1)</script>"
    with StubServer(reply=lambda body: _write(body, lambda n, p: p | {"question": f"{n} {evil}"})) as server:
        write_preview_page(preview_generation(work, _served(data, server), 1, ask=True), tmp_path / "p.html")
    assert evil not in (tmp_path / "p.html").read_text()


def test_the_verbs_print_what_they_did(tmp_path) -> None:
    work, data = _work(tmp_path, 3)
    app = typer.Typer()
    app.callback()(lambda: None)
    verb.add(app)
    generate_verb.add(app)
    given = ["images.path=x", *(f"tree.{k}={v}" for k, v in data["tree"].items()), "--work", str(work.folder)]
    shown = CliRunner().invoke(app, ["preview", "2", *given])
    assert shown.exit_code == 0, shown.output
    assert "nothing was sent" in shown.output
    assert (work.folder / "preview.html").is_file()
    with StubServer(reply=_write) as server:
        model = ["generate.teacher=endpoint", f"endpoints.teacher=[{{base_url: '{server.url}', model: stub}}]"]
        dry = CliRunner().invoke(app, ["generate", *given, *model, "--dry-run"])
        assert dry.exit_code == 0, dry.output
        assert "estimate: 3 requests" in dry.output
        assert server.requests == 0
        done = CliRunner().invoke(app, ["generate", *given, *model])
    assert done.exit_code == 0, done.output
    assert "9 of 9 QA about 3 images" in done.output
