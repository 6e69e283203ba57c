"""Events go to JSON and back; a log survives whoever was killed while writing it."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talweg.core import events
from talweg.core.events import Event, read_log

NUMBERS = st.floats(allow_nan=True, width=64)
TEXT = st.text(max_size=20)
LOGS = st.dictionaries(TEXT, NUMBERS, max_size=4)
FIELDS = {
    "step": st.integers(0, 2**31),
    "time": st.floats(0, 1e10),
    "epochs": st.integers(0, 100),
    "steps_per_epoch": st.none() | st.integers(1, 100),
    "steps": st.integers(1, 100),
    "seconds": st.floats(0, 10),
    "logs": LOGS,
    "epoch": st.integers(0, 100),
    "name": TEXT,
    "before": NUMBERS,
    "after": NUMBERS,
    "path": TEXT,
    "kind": TEXT,
    "message": TEXT,
    "reason": TEXT,
}


@st.composite
def any_event(draw):
    kind = draw(st.sampled_from(sorted(Event.kinds)))
    fields = {f.name: draw(FIELDS[f.name]) for f in dataclasses.fields(Event.kinds[kind])}
    return Event.kinds[kind](**fields)


def test_the_kinds_are_those_of_the_architecture():
    assert list(Event.kinds) == [
        "RunStarted", "BlockDone", "EpochDone", "RateChanged", "CheckpointSaved", "Alarm",
        "RunEnded",
    ]  # fmt: skip


@given(any_event())
def test_an_event_survives_the_trip_through_one_line_of_strict_json(event):
    line = event.to_json()
    assert "\n" not in line
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    back = Event.from_json(line)
    assert type(back) is type(event)
    assert repr(back) == repr(event)  # as text, since NaN differs from itself


@given(st.lists(any_event(), max_size=4), st.integers(1, 30))
def test_a_log_cut_off_in_its_last_line_loses_that_line_only(tmp_path_factory, told, cut):
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    whole = "".join(event.to_json() + "\n" for event in told)
    last = events.RunEnded(step=1, reason="finished").to_json()
    path.write_text(whole + last[:cut], encoding="utf-8")
    assert [repr(e) for e in read_log(path)] == [repr(e) for e in told]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[]", "JSON object"),
        ('{"event": "Exploded", "step": 1}', "Exploded"),
        ('{"step": 1}', "event"),
        ('{"event": "RunEnded", "step": 1, "cause": "x"}', "RunEnded"),
        ('{"event": "RunEnded"', "line 2"),
        ("[" * 100_000, "line 2"),
    ],
)
def test_a_line_that_is_no_event_is_named(tmp_path, line, said):
    path = tmp_path / "events.jsonl"
    good = events.RunStarted(step=0, epochs=1, steps_per_epoch=None).to_json()
    path.write_text(f"{good}\n{line}\n")
    with pytest.raises(ValueError, match="line 2") as caught:
        read_log(path)
    assert said in str(caught.value)


def test_infinite_losses_come_back_as_numbers():
    logs = {"loss": math.inf, "mae": -math.inf, "acc": math.nan}
    back = Event.from_json(events.EpochDone(step=1, epoch=0, logs=logs).to_json())
    assert back.logs["loss"] == math.inf
    assert back.logs["mae"] == -math.inf
    assert math.isnan(back.logs["acc"])
