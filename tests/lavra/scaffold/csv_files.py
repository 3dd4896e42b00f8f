"""Small files of several shapes, and what writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

WriteCsv = Callable[[str, str], Path]
Init = Callable[..., Path]


def sales(rows: int = 60) -> str:
    """A file with a key, a time, two categories, quantities and a reference to products."""
    lines = ["sale_id,sold_at,channel,product_id,quantity,unit_price"]
    for number in range(1, rows + 1):
        channel = ("web", "shop", "phone")[number % 3]
        day = f"2026-{1 + number // 28:02}-{1 + number % 28:02}"
        product = 1 + number % 5
        price = f"{number % 7}.50" if number % 9 else ""
        lines.append(f"S{number:04},{day} 10:00:00,{channel},{product},{number % 4},{price}")
    return "\n".join(lines) + "\n"


PRODUCTS = """product_id,Nome do produto,categoria
1,Café, Bebidas
2,Pão de queijo,Salgados
3,Chá,Bebidas
4,Bolo de fubá,Doces
5,Suco,NA
"""
