#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = ["cyclonedx-python-lib[json-validation]==11.7.0", "packageurl-python>=0.17"]
# ///
"""Print the bill of materials of an image (CycloneDX 1.6): what Python and Debian installed in it.

    infra/bin/sbom.py ROOT NAME > NAME.cdx.json

``ROOT`` is the image's root folder: mounted by buildah, or the output of
``docker buildx build --output type=local,dest=ROOT``. Nothing is looked up: names and versions
are those that the packages' own records give.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

FIELD = re.compile(r"^(Package|Version|Architecture|Status): (.+)$", re.MULTILINE)


def python_packages(root: Path) -> Iterator[Component]:
    """Yield what is installed in the environments below ``root/opt`` and ``root/usr``."""
    for part in ("opt", "usr"):
        for folder in sorted((root / part).rglob("*-packages")):
            if not folder.is_dir() or folder.is_symlink():
                continue
            for found in distributions(path=[str(folder)]):
                name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
                place = "/" + str(folder.relative_to(root))
                yield _component(PackageURL("pypi", None, name, found.version), place)


def debian_packages(root: Path) -> Iterator[Component]:
    """Yield what dpkg has installed."""
    status = root / "var" / "lib" / "dpkg" / "status"
    for record in status.read_text("utf-8").split("\n\n"):
        fields = dict(FIELD.findall(record))
        if fields.get("Status", "").endswith(" installed"):
            arch = {"arch": fields["Architecture"]}
            url = PackageURL("deb", "debian", fields["Package"], fields["Version"], arch)
            yield _component(url, "/var/lib/dpkg/status")


def bill(root: Path, name: str) -> str:
    """Return the bill as JSON, checked against the schema.

    Raises:
        SystemExit: nothing is installed there, or the bill does not meet its schema.
    """
    bom = Bom()
    bom.metadata.component = Component(name=name, type=ComponentType.CONTAINER, bom_ref=name)
    components = {c.bom_ref.value: c for c in (*python_packages(root), *debian_packages(root))}
    if not components:
        sys.exit(f"Nothing is installed below {root}.")
    bom.components.update(components.values())
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    text: str = outputter.output_as_string(indent=1)
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong:
        sys.exit(f"The bill does not meet its schema: {wrong!r}")
    return text


def _component(url: PackageURL, place: str) -> Component:
    return Component(
        bom_ref=f"{url}#{place}",
        group=url.namespace,
        name=url.name,
        purl=url,
        type=ComponentType.LIBRARY,
        version=url.version,
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(bill(Path(sys.argv[1]), sys.argv[2]))
