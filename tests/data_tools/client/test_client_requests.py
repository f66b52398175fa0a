"""What goes into requests: pictures, schemas, estimates; and the stub server that answers them."""

import base64
import io
import json
import math
import subprocess
import sys
import urllib.request
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindgpt_data.client import images, spend, wire
from mindgpt_data.client.request import Answer, Request, Task
from mindgpt_data.client.structured import make_answer_parser, make_answer_schema
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_data.testing.example import make_example
from mindgpt_data.testing.stub import StubServer
from PIL import Image, ImageDraw
from pydantic import BaseModel, Field


class Point(BaseModel):
    x: int
    label: str | None = None


class Scene(BaseModel):
    title: Annotated[str, Field(max_length=20)]
    kind: Literal["photo", "chart"]
    points: list[Point]
    score: float = Field(0.0, ge=0, le=5)


class Endless(BaseModel):
    inner: list["Endless"]


def picture(path, size=(300, 200), noisy=False):
    if noisy:
        pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        image = Image.fromarray(pixels)
    else:
        image = Image.new("RGB", size, "white")
        ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2, size[1]), fill="red")
    image.save(path)
    return path


def opened(url):
    kind, _, data = url.partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{image.format.lower()}"
    return image


def test_drawings_go_as_png_and_photographs_as_jpeg(tmp_path):
    drawing = opened(images.make_data_url(picture(tmp_path / "a.png"), 10**6))
    assert drawing.format == "PNG" and drawing.getpixel((0, 0)) == (255, 0, 0)
    assert opened(images.make_data_url(picture(tmp_path / "b.png", noisy=True), 10**6)).format == "JPEG"


def test_pictures_are_sent_upright(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(path, exif=exif)
    assert opened(images.make_data_url(path, 10**6)).size == (20, 40)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 10**6))
def test_the_pixel_budget_holds_and_proportions_stay(width, height, budget):
    fitted = images.shrink_image(Image.new("1", (width, height)), budget)
    assert fitted.width * fitted.height <= budget
    if width * height <= budget:
        assert fitted.size == (width, height)
    elif min(fitted.size) > 20:
        assert math.isclose(fitted.width / fitted.height, width / height, rel_tol=0.1)


def test_a_schema_is_closed_bounded_and_free_of_references():
    schema = make_answer_schema(Scene, max_length=50, max_items=4)
    assert schema["required"] == ["title", "kind", "points", "score"] and schema["additionalProperties"] is False
    assert schema["properties"]["title"]["maxLength"] == 20, "a field called title is a field"
    assert schema["properties"]["points"]["maxItems"] == 4
    point = schema["properties"]["points"]["items"]
    assert point["required"] == ["x", "label"] and point["properties"]["label"]["anyOf"][0]["maxLength"] == 50
    assert "$ref" not in json.dumps(schema) and "default" not in json.dumps(schema)
    with pytest.raises(ValueError, match="Endless contains itself"):
        make_answer_schema(Endless)


@given(st.text())
def test_examples_follow_their_schema(seed):
    Scene.model_validate(make_example(make_answer_schema(Scene), seed))
    assert make_example(make_answer_schema(Scene), seed) == make_example(make_answer_schema(Scene), seed)


def test_answers_are_parsed_with_forgiveness_for_fences_and_named_faults():
    parse = make_answer_parser(Point)
    assert parse(Answer(('```json\n{"x": 1}\n```',))) == Point(x=1)
    for text, told in (("no", "answer"), ('{"x": "far"}', "x: "), ("{", "answer")):
        with pytest.raises(ValueError, match=f"not a Point: {told}"):
            parse(Answer((text,)))


def test_an_estimate_counts_text_pixels_limits_and_prices(tmp_path):
    url = images.make_data_url(picture(tmp_path / "a.png", (320, 320)), 10**6)
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "x" * 400}]
    task = Task("a", "1", lambda: Request([{"role": "user", "content": content}], max_tokens=100), str)
    endpoint = EndpointSettings(
        base_url="http://127.0.0.1:9/v1", model="m", max_in_flight=10, price_in=1.0, price_out=10.0
    )
    found = spend.estimate_spend([task], 1000, [endpoint], latency=2.0)
    assert found.prompt_tokens == 200_000, "100 for the picture, 100 for the text"
    assert found.completion_tokens == 30_000
    assert found.cost == pytest.approx(0.2 + 0.3) and found.seconds == pytest.approx(200)
    slow = endpoint.model_copy(update={"requests_per_minute": 60.0})
    assert spend.estimate_spend([task], 1000, [slow], latency=2.0).seconds == pytest.approx(1000)
    assert spend.estimate_spend([task], 1000, [slow, slow], latency=2.0).seconds == pytest.approx(500)
    assert spend.estimate_spend([], 0, [slow]).requests == 0
    assert spend.read_usage(tmp_path / "none.sqlite") == []


def test_server_errors_are_read_in_every_dialect_without_image_bytes():
    for body in ({"error": {"message": "m"}}, {"message": "m"}, {"detail": "m"}, {"error": "m"}):
        assert wire.find_error_message(json.dumps(body).encode()) == "m"
    assert wire.find_error_message(b"<html>") == "<html>"
    assert wire.shorten_message("in data:image/jpeg;base64,/9j/AAA= here") == "in <image> here"
    assert len(wire.shorten_message("x" * 1000)) == 300
    assert (
        wire.parse_retry_after("2") == 2
        and wire.parse_retry_after("soon") is None
        and wire.parse_retry_after(None) is None
    )


def test_the_stub_lists_models_embeds_and_runs_as_a_process():
    command = [sys.executable, "-m", "mindgpt_data.testing.stub", "--port", "0", "--latency", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            assert json.load(urllib.request.urlopen(f"{url}/models"))["data"][0]["id"] == "stub"
            body = json.dumps({"model": "m", "input": ["a", "b", "a"]}).encode()
            data = json.load(urllib.request.urlopen(f"{url}/embeddings", body))["data"]
            assert data[0]["embedding"] == data[2]["embedding"] != data[1]["embedding"]
            body = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
            assert (
                "hi"
                in json.load(urllib.request.urlopen(f"{url}/chat/completions", body))["choices"][0]["message"][
                    "content"
                ]
            )
            stats = json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))
            assert stats["requests"] == 1 and stats["answered"] == {"hi": 1}
        finally:
            process.terminate()


def test_the_stub_refuses_unknown_faults():
    with pytest.raises(ValueError, match="no such fault: 418"):
        StubServer(faults={"418": 1.0})
