# The answers page, the probe of the collector, and the demo shop: one image. See docs/how-to/docker.md.
FROM python:3.11.16-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements/image.txt requirements/image-build.txt requirements/
# pip stays behind, since the image installs nothing; so do tests, headers, and the part of Arrow that nothing here calls.
RUN python -m venv --without-pip /opt/shopscope \
    && python -m pip --python /opt/shopscope/bin/python install --require-hashes --only-binary :all: \
        --requirement requirements/image.txt \
    && cd /opt/shopscope/lib/python3.11/site-packages \
    && rm -rf pyarrow/include pyarrow/*flight* \
    && find . -type d -name tests -prune -exec rm -rf {} +
# What health checks ask with: this image has no curl.
RUN printf '#!/opt/shopscope/bin/python -IS\nimport sys, urllib.request\nurllib.request.urlopen(sys.argv[1], timeout=3)\n' \
        > /opt/shopscope/bin/probe \
    && chmod 755 /opt/shopscope/bin/probe
COPY . .
# A checkout has the sources; what `shopscope up` prepares from an installation has the wheel itself.
RUN if [ ! -d wheel ]; then \
        python -m pip install --require-hashes --only-binary :all: --requirement requirements/image-build.txt \
        && python -m pip wheel --no-deps --no-build-isolation --wheel-dir wheel .; \
    fi \
    && python -m pip --python /opt/shopscope/bin/python install --no-deps --no-index wheel/*.whl

FROM python:3.11.16-slim-trixie
# A named volume takes owner and mode from the folder that it first covers: these are the answers' data, and the
# collector's, whose image has the user 10001 and no such folder.
RUN groupadd --gid 10001 shopscope \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin shopscope \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data /var/lib/otelcol
COPY --from=build /opt/shopscope /opt/shopscope
# The demo shop lies in the wheel, where `shopscope demo` finds it too.
ENV PATH=/opt/shopscope/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/opt/shopscope/lib/python3.11/site-packages/shopscope_ops/bundle
USER 10001:10001
