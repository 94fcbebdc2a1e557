"""The fault grammar: what is understood, and how a mistake is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.mock.faults import KINDS, OK, Fault, parse, parse_seconds


def test_every_name_is_understood_without_options() -> None:
    assert {name: parse(name).name for name in KINDS} == {name: name for name in KINDS}


def test_ok_is_no_fault() -> None:
    assert parse("ok") == OK


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("503;retry_after=2", Fault("503", status=503, retry_after="2")),
        (
            "429;retry_after=Wed, 21 Oct 2026 07:28:00 GMT",
            Fault("429", status=429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
        ),
        ("429;retry_after_ms=1500", Fault("429", status=429, retry_after_ms="1500")),
        ("401;echo_key=1", Fault("401", status=401, echo_key=True)),
        ("cut;after=3;part=1", Fault("cut", after=3, part=True)),
        ("cut", Fault("cut", after=1)),
        (" cut ; after=3", Fault("cut", after=3)),
        ("slow_drip;interval=5ms", Fault("slow_drip", interval=0.005)),
        ("early;status=503", Fault("early", status=503, linger=1.0)),
        ("close_delimited;terminal=0", Fault("close_delimited", terminal=False)),
        ("error_event;type=x;code=429", Fault("error_event", type="x", code="429")),
        ("redirect;location=/a?b=c", Fault("redirect", location="/a?b=c")),
    ],
)
def test_options(text: str, fault: Fault) -> None:
    assert parse(text) == fault


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cutt", "unknown fault 'cutt': expected a status from 400 to 599 or one of ok, refuse, "),
        ("399", "unknown fault '399'"),
        ("600", "unknown fault '600'"),
        ("", "unknown fault ''"),
        ("cut;before=1", "unknown option 'before=1' of fault 'cut': expected after=…, part=…"),
        ("cut;part", "unknown option 'part' of fault 'cut'"),
        ("stall;after=1", "unknown option 'after=1' of fault 'stall': expected none"),
        ("503;after=1", "expected retry_after=…, retry_after_ms=…, echo_key=…, type=…, code=…"),
        ("cut;after=-1", "option 'after' of fault 'cut': not a count: '-1'"),
        ("cut;part=yes", "option 'part' of fault 'cut': not a flag: 'yes': expected 0 or 1"),
        ("slow_drip;interval=fast", "option 'interval' of fault 'slow_drip': not a duration: 'fast'"),
        ("big;size=15", "option 'size' of fault 'big': too small: '15': expected 16 bytes or more"),
        ("early;status=200", "option 'status' of fault 'early': not an error status: '200'"),
        ("redirect;location=a\r\nb", "option 'location' of fault 'redirect': not printable ASCII"),
    ],
)
def test_a_mistake_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"^(unknown|option)") as raised:
        parse(text)
    assert complaint in str(raised.value)


@given(st.text())
def test_any_text_is_a_fault_or_a_value_error(text: str) -> None:
    try:
        fault = parse(text)
    except ValueError:
        return
    assert fault.name in KINDS or 400 <= fault.status <= 599


@pytest.mark.parametrize(("text", "seconds"), [("200ms", 0.2), ("2s", 2.0), ("0.5", 0.5), ("0", 0.0)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "ms", "-1s", "nan", "inf", "1m", "1 0"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected 200ms, 2s or a number of seconds"):
        parse_seconds(text)
