"""Pieces that the shop's tables are made of."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa

from lavra.workloads.commerce import reference as ref

DAY_S = 86_400

Array = np.ndarray[Any, np.dtype[Any]]


def product_ids(index: Array) -> pa.Array:
    """Return the identifiers of products by their place in the catalogue."""
    return pa.array([f"P-{number:05d}" for number in index + 1])


def seller_ids(index: Array) -> pa.Array:
    """Return the identifiers of sellers by their place in the catalogue."""
    return pa.array([f"S-{number:04d}" for number in index + 1])


def long_tail(rng: np.random.Generator, kinds: int, size: int, *, exponent: float) -> Array:
    """Draw from kinds of which few are common and many are rare."""
    weights = (rng.permutation(kinds) + 1.0) ** -exponent
    return rng.choice(kinds, size, p=weights / weights.sum())


def places(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Draw states and a city of each."""
    shares = np.array([place[1] for place in ref.PLACES])
    state = rng.choice(len(ref.PLACES), count, p=shares / shares.sum())
    pick = rng.random(count) ** 1.8  # the first city of a state is its largest
    cities = [ref.PLACES[s][2][int(p * len(ref.PLACES[s][2]))]
              for s, p in zip(state, pick, strict=True)]  # fmt: skip
    states = np.array([place[0] for place in ref.PLACES], dtype=object)[state]
    return states, np.array(cities, dtype=object)


def timestamps(seconds: Array, valid: Array | None = None) -> pa.Array:
    """Return seconds since the epoch as UTC timestamps, to the millisecond."""
    micros = np.round(seconds * 1e3).astype("int64") * 1000
    mask = None if valid is None else ~valid
    return pa.array(micros, mask=mask).cast(pa.timestamp("us", "UTC"))


def money(values: Array) -> pa.Array:
    """Return amounts as exact decimals."""
    return pa.array(np.round(values, 2)).cast(pa.decimal128(12, 2))


def ascii_name(name: str) -> str:
    """Return a name as the first part of an e-mail address."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return plain.lower().replace(" ", ".")


def spoiled_email(email: str, index: int) -> str | None:
    """Return an address as a careless person or program leaves it."""
    spoiled = (None, email.replace("@", " at "), email.replace("@", ""), f" {email} ", "-", "x@")
    return spoiled[index % len(spoiled)]


def spoiled_text(text: str, index: int) -> str:
    """Return a text with odd case or spaces."""
    spoiled = (text.upper(), text.lower(), f"  {text}", f"{text} ", text.replace(" ", "  "))
    return spoiled[index % len(spoiled)]
