# Compiles the gateway into a virtual environment, and puts that into an image without a compiler.
#
#   docker build -t llm-gateway .
#   docker run -p 4000:4000 -e OPENAI_API_KEY llm-gateway
#
# The configuration is /etc/gateway/gateway.yaml, the file that GATEWAY_CONFIG names, or the text in
# GATEWAY_CONFIG_YAML. Nothing is written: it runs with a read-only root and without capabilities.

# Any image with Python 3.11 or later under /usr/local, or a Debian that has it as a package.
ARG BASE_IMAGE=docker.io/library/python:3.11.14-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN set -eu; \
    packages="gcc libc6-dev"; \
    [ -x /usr/local/bin/python3 ] || packages="$packages python3-dev python3-venv"; \
    apt-get update; \
    apt-get install -y --no-install-recommends $packages; \
    rm -rf /var/lib/apt/lists/*

WORKDIR /src
# Before the sources, so that a change of those does not install all of it again.
ARG LOCK=runtime.txt
COPY deploy/locks/ deploy/locks/
RUN set -eu; \
    python3 -m venv /opt/build; \
    /opt/build/bin/pip install --require-hashes --only-binary :all: -r deploy/locks/build.txt; \
    python3 -m venv --without-pip /opt/gateway; \
    /opt/build/bin/pip --python /opt/gateway install --require-hashes --only-binary :all: -r deploy/locks/$LOCK

ENV GATEWAY_REQUIRE_SPEEDUPS=1
COPY pyproject.toml setup.py README.md LICENSE ./
COPY _speedups/ _speedups/
COPY gateway/ gateway/
RUN set -eu; \
    /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /opt/wheel .; \
    /opt/build/bin/pip --python /opt/gateway install --no-deps --no-index /opt/wheel/*.whl; \
    /opt/build/bin/pip --python /opt/gateway check; \
    /opt/gateway/bin/gateway --version

FROM ${BASE_IMAGE}
RUN set -eu; \
    packages="ca-certificates"; \
    [ -x /usr/local/bin/python3 ] || packages="$packages python3"; \
    apt-get update; \
    apt-get install -y --no-install-recommends $packages; \
    apt-get clean; \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/gateway /opt/gateway

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="llm-gateway" \
      org.opencontainers.image.description="An OpenAI-compatible gateway that keeps answering when providers fail" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

ENV PATH=/opt/gateway/bin:$PATH \
    GATEWAY_REQUIRE_SPEEDUPS=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /etc/gateway
USER 10001:10001
EXPOSE 4000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
    CMD ["python", "-m", "gateway.admin.probe"]
ENTRYPOINT ["gateway"]
# The loopback, which is the default, is nobody's outside of the container. For a Unix socket: `serve` alone.
CMD ["serve", "--host", "0.0.0.0"]
