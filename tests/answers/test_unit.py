import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.answers import GoldError, JudgeOptions, compare_answers, parse_gold


def same(got: str, want: str, **options) -> bool:
    return compare_answers("", want, got, "unit", JudgeOptions(**options)).right


@pytest.mark.parametrize(
    ("got", "want", "right"),
    [
        ("3.6 km/h", "1 m/s", True), ("72 °F", "22.222222 °C", True), ("-40 °C", "-40 °F", True), ("0 °C", "273.15 K",
        True),
        ("5 × 10^-3 m", "5 mm", True), ("5e-3 m", "5 mm", True), ("$5", "5 dollars", True), ("$5", "$5", True),
        ("$1,200", "$1200", True), ("40%", "0.4", True), ("12 inches", "1 foot", True), ("1 kWh", "3.6 MJ", True),
        ("9.81 m/s²", "9.81 m/s^2", True), ("10 N·m", "10 J", True), ("2 liters", "2000 mL", True),
        ("1 kilometer per hour", "1 km/h", True), (r"9.81\,\text{m/s}^{2}", "9.81 m/s^2", True), ("2 h 30 min",
        "150 min", True),
        ("2h30m", "150 min", True), ("5 ft 6 in", "66 in", True), ("5'6\"", "66 in", True), ("1.6764 m", "5 ft 6 in",
        True),
        ("52 oz", "3 lb 4 oz", True), ("1,5 m", "150 cm", True), ("five metres", "5 m", True), ("5 m of rope", "5 m",
        True),
        ("五米", "5 m", True), ("2 Stunden", "120 min", True), ("32 °F", "0 °C", True), ("about 5 m", "5 m", True),
        ("1 Pa", "1 pA", False), ("5 mm", "5 m", False), ("5 kg", "5 m", False), ("5", "5 m", False), ("5 apples",
        "5 m", False),
        ("many", "5 m", False), ("1 kg^99", "1 kg", False), ("5 mW", "5 MW", False), ("€5", "$5", False), ("5 m 3 kg",
        "5 m", False),
        ("2 m or 3 m", "2 m", False), ("10-20 m", "10 m", False), ("2 min 75 s", "195 s", False), ("0.785398", "45°",
        False),
        ("2 h 30", "150 min", False), ("5 m²", "5 m", False), ("5 m/s", "5 m s", False), ("not 5 m", "5 m", False),
    ],
)  # fmt: skip
def test_quantities_are_compared_after_conversion(got: str, want: str, right: bool):
    assert same(got, want) is right


def test_a_tolerance_is_in_the_gold_unit():
    assert same("21 °C", "20.5 °C", abs_tol=0.5)
    assert not same("294.25 K", "20 °C", abs_tol=0.5)
    assert same("1.01 m", "100 cm", rel_tol=0.01)


@pytest.mark.parametrize("gold", ["5 smoots", "m", "5 m or 6 m", "2 min 75 s"])
def test_a_gold_answer_that_is_no_quantity_is_an_error(gold: str):
    with pytest.raises(GoldError, match="is not a number with a unit"):
        parse_gold(gold, "unit")


@given(st.floats(1e-3, 1e6), st.sampled_from([("km", "m", 1e3), ("h", "s", 3600), ("kg", "g", 1e3), ("ft", "in", 12)]))
def test_conversion_goes_both_ways(value: float, units: tuple[str, str, float]):
    large, small, factor = units
    assert same(f"{value * factor!r} {small}", f"{value!r} {large}")
    assert same(f"{value!r} {large}", f"{value * factor!r} {small}")


@given(st.integers(0, 99), st.integers(1, 59), st.integers(1, 59))
def test_a_compound_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int):
    assert same(f"{hours} h {minutes} min {seconds} s", f"{3600 * hours + 60 * minutes + seconds} s")
