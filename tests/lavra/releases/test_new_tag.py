"""A column that a model's comment tags is masked everywhere at once; the policy stays as it is."""

from __future__ import annotations

import httpx

from lavra.access.keys import create_key
from tests.lake_project import LakeProject
from tests.query_service.conftest import query, serving, wait_until

POLICY = """
roles:
  admin: {grants: [{tables: ["*"], environments: ["*"]}]}
  analyst: {grants: [{tables: ["*"], environments: [prod, dev]}]}
masks:
  - {tags: [pii], mask: hash, except_roles: [admin]}
"""
NAMES = "select customer_id, name from gold_shop.names order by 1"
PLAIN = [[1, "Ana"], [2, "Bo"]]
EVERYWHERE = (
    NAMES,
    "select * from gold_shop.names order by 1",
    "select n.customer_id, max(n.name) as name from gold_shop.names n group by 1 order by 1",
    "with c as (select * from gold_shop.names) select * from c union select * from c order by 1",
    "select customer_id, max(name) over (partition by customer_id) from gold_shop.names order by 1",
)


def test_a_new_tag_masks_its_column_in_every_release(lake: LakeProject) -> None:
    policy = lake.root / "access" / "policy.yaml"
    policy.parent.mkdir()
    policy.write_text(POLICY)
    lake.plan("dev", include_unmodified=True)
    before, dev = lake.released(), lake.released("dev")
    with lake.catalog.connect() as connection:
        keys = {
            name: create_key(connection, name, roles=[name])[1] for name in ("admin", "analyst")
        }
    with serving(lake.settings, loopback=False) as client:
        headers = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
        ask = httpx.Client(base_url=client.base_url, timeout=60, headers=headers["analyst"])
        admin = httpx.Client(base_url=client.base_url, timeout=60, headers=headers["admin"])
        with ask, admin:
            wait_until(lambda: ask.get("/v1/snapshot?environment=dev").status_code == 200)
            for sql in EVERYWHERE:
                assert query(ask, sql)["rows"] == PLAIN
            kept = ask.get("/v1/sql", params={"query": NAMES})

            lake.edit("models/gold/names.sql", "name = 'Name.'", "name = 'Name. #pii'")
            lake.plan()
            released = str(lake.released().id)
            assert released != str(before.id)
            wait_until(lambda: query(ask, NAMES)["snapshot"]["id"] == released)

            hashed = query(ask, NAMES)["rows"]
            assert [row[0] for row in hashed] == [1, 2]
            assert all(len(row[1]) == 64 for row in hashed)
            for sql in EVERYWHERE:
                assert query(ask, sql)["rows"] == hashed
                # The releases from before the tag, of both environments, are masked as well.
                assert query(ask, sql, snapshot=str(before.id))["rows"] == hashed
                assert query(ask, sql, environment="dev")["rows"] == hashed
                assert query(admin, sql)["rows"] == PLAIN
            assert query(ask, "select 1 from gold_shop.names where name = 'Ana'")["rows"] == []
            assert query(ask, NAMES, environment="dev")["snapshot"]["id"] == str(dev.id)
            # Nor does a tag that was kept say that the answer from before still holds.
            again = ask.get(
                "/v1/sql",
                params={"query": NAMES},
                headers={"If-None-Match": kept.headers["ETag"]},
            )
            assert (again.status_code, again.json()["rows"]) == (200, hashed)
    assert policy.read_text() == POLICY
