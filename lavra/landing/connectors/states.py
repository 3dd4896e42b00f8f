"""States of connectors: kept by stream, told to the connector in the form that it told us.

A STREAM state stands for the records of one stream. A GLOBAL one stands for those of all streams:
a part that they share (a position in a log) and a part for each. A LEGACY one is a single value
that stands for all. The shared ones are kept with every stream they stand for, with an order that
rises, so that a stream that was left behind is found: the connector goes on from the oldest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lavra.landing.connectors.columns import descriptor

if TYPE_CHECKING:
    from lavra.landing.connectors.stream import StreamLanding

State = dict[str, Any]
"""As the manifest holds it: ``stream_state``, or ``global_state`` or ``legacy_state`` with
``order``, the number of the sync that recorded it."""

_STREAM, _GLOBAL, _LEGACY, _ORDER = "stream_state", "global_state", "legacy_state", "order"


def kept_form(state: Mapping[str, Any]) -> State:
    """Return a connector's state as it is kept, from the body of its STATE message."""
    if state.get("type") == "STREAM":
        return {_STREAM: (state.get("stream") or {}).get("stream_state")}
    if state.get("type") == "GLOBAL":
        return {_GLOBAL: state.get("global") or {}}
    return {_LEGACY: state.get("data")}


def known_state(state: State | None) -> State | None:
    """Return a stream's state as it is kept, if it is a connector's."""
    return state if state and {_STREAM, _GLOBAL, _LEGACY} & set(state) else None


def order(state: State | None, number: int) -> None:
    """Give a state its order, if it is a shared one."""
    if state is not None and _STREAM not in state:
        state[_ORDER] = number


def is_shared(state: State) -> bool:
    """Whether a state stands for more than one stream."""
    return _STREAM not in state


def is_same(one: State, other: State | None) -> bool:
    """Whether two states say the same."""
    return other is not None and (one | {_ORDER: 0}) == (other | {_ORDER: 0})


def told_form(landings: Sequence[StreamLanding]) -> Any:
    """Return what ``--state`` is to hold for streams to be read; None for nothing.

    A stream that has no state of its own is not in it, whatever a shared state says of it: what
    that stands for has not landed.
    """
    known = [(one, one.state) for one in landings if one.state is not None]
    shared = [state for _, state in known if is_shared(state)]
    if not shared:
        told = [_message(one, state[_STREAM]) for one, state in known if state[_STREAM] is not None]
        return told or None
    oldest = min(shared, key=lambda state: state.get(_ORDER, 0))
    if _LEGACY in oldest:
        return _legacy(oldest[_LEGACY], landings)
    states = [
        {"stream_descriptor": descriptor(one.found), "stream_state": found}
        for one, state in known
        if (found := _part(oldest, one) or _part(state, one)) is not None
    ]
    return [{"type": "GLOBAL", "global": oldest[_GLOBAL] | {"stream_states": states}}]


def _message(landing: StreamLanding, state: Any) -> dict[str, Any]:
    named = {"stream_descriptor": descriptor(landing.found), "stream_state": state}
    return {"type": "STREAM", "stream": named}


def _part(state: State, landing: StreamLanding) -> Any:
    """Return what a state says of one stream; None for nothing."""
    if _STREAM in state:
        return state[_STREAM]
    named = descriptor(landing.found)
    for part in state.get(_GLOBAL, {}).get("stream_states") or ():
        if part.get("stream_descriptor") == named:
            return part.get("stream_state")
    return None


def _legacy(blob: Any, landings: Sequence[StreamLanding]) -> Any:
    incremental = [one for one in landings if one.stream.is_incremental]
    missing = {one.found["name"] for one in incremental if one.state is None}
    if not missing:
        return blob
    names = {one.found["name"] for one in incremental}
    if isinstance(blob, dict) and names & set(blob):  # it is kept by stream, as most do
        return {name: value for name, value in blob.items() if name not in missing}
    return None  # nobody can tell what it says of the streams that have not landed
