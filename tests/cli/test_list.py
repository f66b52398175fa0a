"""``mindgpt list`` tells what each name is for and which options it takes."""

import subprocess
import sys


def mindgpt(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mindgpt_plugins.cli", *arguments], capture_output=True, text=True)


def test_a_name_has_a_line_and_its_options():
    shown = mindgpt("list", "losses").stdout
    assert "Per-source weighted cross-entropy with an optional KL anchor." in shown
    assert "weights=null" in shown and "length_weighting=token" in shown and "built in" in shown
    assert mindgpt("list", "loss").stdout == shown


def test_options_that_a_run_fills_in_are_not_offered():
    shown = mindgpt("list", "advantages").stdout
    assert "normalise=none" in shown and "lam=" not in shown and "k=4" not in shown


def test_stages_say_what_they_are_and_patches_where_they_act():
    assert "Group-relative RL with several rewards" in mindgpt("list", "stages").stdout
    assert "auto means" in mindgpt("list", "patches").stdout


def test_an_unknown_kind_names_the_nearest():
    done = mindgpt("list", "losss")
    assert done.returncode == 2 and "did you mean 'losses'" in done.stderr


def test_the_other_spelling_of_quantise_names_the_verb():
    done = mindgpt("quantize", "recipe.yaml", "--stage", "small")
    told = " ".join(done.stderr.replace("│", " ").split())
    assert done.returncode == 2 and "mindgpt quantise recipe.yaml --stage small" in told
    assert "quantize" not in mindgpt("--help").stdout and "quantise" in mindgpt("--help").stdout
