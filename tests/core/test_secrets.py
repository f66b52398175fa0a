"""What counts as a secret, what does not, and what a settings file may refer to."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from mindgpt_plugins.core.overrides import apply_overrides, resolve_settings
from mindgpt_plugins.core.secrets import MASK, format_authorization, mask_secrets, redact_key

SECRETS = {
    "launch.data.env.MY_TOKEN": "plain words",
    "launch.rl.env.AWS_SECRET_ACCESS_KEY": "plain/words",
    "launch.rl.env.MLFLOW": "https://me:pass@tracker/api",
    "stages.a.endpoints.teacher.0.base_url": "http://user:pass@host/v1",
    "stages.b.server": "https://pass@host",
    "stages.c.endpoints.teacher.0.base_url": "http://host/v1?api_key=abcd1234&x=1",
    "stages.a.endpoints.teacher.0.extra_body.api_key": "x",
    "stages.a.endpoints.teacher.0.extra_body.nested.apiKey": "x",
    "stages.a.endpoints.teacher.0.extra_body.x-api-key": 123456789,
    "stages.a.endpoints.teacher.0.extra_body.headers.Authorization": "Basic eDp5",
    "stages.a.endpoints.teacher.0.api_key_env": "sk-abcd1234efgh",
    "stages.s.llamafactory.hf_hub_token": "x",
    "stages.s.llamafactory.push_to_hub_token": "abcdefgh",
    "stages.r.verl.trainer.logger_password": "x",
    "stages.r.verl.+trainer.x.client_secret": "x",
    "stages.r.rewards.judge.options.token": ["x"],
    "description": "ask with hf_abcdEFGH1234ijkl5678MNOP",
    "stages.t.prompt": "Authorization: Bearer abcd1234",
    "stages.u.args": "--key AKIAABCDEFGHIJKLMNOP",
    "stages.v.args": "WANDB_API_KEY=abcd1234 train",
}
HARMLESS = {
    "launch.sft.env.FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "launch.rl.env.RAY_AUTH_TOKEN_PATH": "/run/token",
    "launch.rl.env.TOKENIZERS_PARALLELISM": "false",
    "stages.a.endpoints.teacher.0.api_key_env": "MY_KEY",
    "stages.a.endpoints.teacher.0.extra_body.max_tokens": 4096,
    "stages.a.budget.sources.secret": 600,
    "stages.s.llamafactory.eos_token": "<|im_end|>",
    "stages.s.llamafactory.image_token": "[IMG]",
    "stages.s.llamafactory.hub_token": None,
    "stages.r.verl.data.prompt_key": "prompt",
    "stages.r.verl.ppo_max_token_len_per_gpu": 16384,
    "stages.m.model": "hf_qwen3_vl_4b",
    "stages.m.path": "git+ssh://git@github.com/owner/name",
    "stages.m.hub": "hf://datasets/owner/name@main",
    "description": "task-20240101, JSON with key: step_1_answer, token: one",
}


def nest(place: str, value: Any) -> Any:
    first, _, rest = place.partition(".")
    inner = nest(rest, value) if rest else value
    return [inner] if first == "0" else {first: inner}


@pytest.mark.parametrize("place", SECRETS)
def test_a_secret_is_refused_by_its_place_and_not_repeated(place: str) -> None:
    value = SECRETS[place]
    with pytest.raises(ValueError, match=r"(env_from: \[|api_key_env)") as caught:
        resolve_settings(OmegaConf.create(nest(place, value)))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(place)
    for part in str(value).split() if isinstance(value, str) and len(value) > 8 else [str(value)]:
        assert len(part) < 8 or part not in line


@pytest.mark.parametrize("place", HARMLESS)
def test_what_only_sounds_like_a_secret_is_taken(place: str) -> None:
    given = nest(place, HARMLESS[place])
    assert resolve_settings(OmegaConf.create(given)) == given


def test_the_advice_names_the_side_and_the_variable() -> None:
    with pytest.raises(ValueError, match=r"write launch: \{sft: \{env_from: \[HF_TOKEN\]\}\}"):
        resolve_settings(OmegaConf.create({"launch": {"sft": {"env": {"HF_TOKEN": "x"}}}}))


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:PLANTED}",
        "http://${oc.env:PLANTED}/v1",
        "${oc.env:NOT_SET,${oc.env:PLANTED}}",
        "${${name}:PLANTED}",
        "${oc.decode:'${oc.env:PLANTED}'}",
        r"\\${oc.env:PLANTED}",
        r"\${oc.env:PLANTED}",  # a host would resolve it
        "${first}${second}",  # the two halves of one
        "${oc.create:'[1]'}",
        "${hydra:runtime.cwd}",
    ],
)
def test_no_resolver_reads_the_environment(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "the planted value")
    tree = OmegaConf.create({"name": "oc.env", "first": r"\${o", "second": "c.env:PLANTED}", "given": {"url": [text]}})
    with pytest.raises(ValueError, match=r"given\.url\.0: .* reaches out of the file") as caught:
        resolve_settings(tree)
    assert "planted value" not in str(caught.value)


def test_references_to_other_keys_stay() -> None:
    tree = OmegaConf.create({"seed": 3, "a": {"b": "${seed}", "c": "${.b}", "d": ["x ${...seed}", r"\${left.alone}"]}})
    assert resolve_settings(tree)["a"] == {"b": 3, "c": 3, "d": ["x 3", "${left.alone}"]}


def test_an_override_that_does_not_fit_is_not_repeated_in_full() -> None:
    with pytest.raises(ValueError, match="is not of the form") as caught:
        apply_overrides(OmegaConf.create({}), ["--token sk-abcd1234efgh"])
    assert "abcd1234" not in str(caught.value) and MASK in str(caught.value)


def test_masks_keep_the_rest_of_a_text() -> None:
    text = "curl http://me:pw@host/v1 -H 'Authorization: Bearer abcd1234' # sk-abcd1234efgh"
    assert mask_secrets(text) == "curl http://***@host/v1 -H 'Authorization: Bearer ***' # ***"


def test_a_servers_echo_of_the_key_is_taken_out_and_a_placeholder_is_not() -> None:
    assert redact_key(b"wrong key abcdefgh!", "abcdefgh") == b"wrong key ***!"
    assert redact_key(b"wrong eDp5eDp5", "Basic eDp5eDp5") == b"wrong ***"
    assert redact_key(b"there is none", "none") == b"there is none"


def test_a_key_may_name_its_scheme() -> None:
    assert [format_authorization(key) for key in ("abc", "Basic eDp5")] == ["Bearer abc", "Basic eDp5"]
