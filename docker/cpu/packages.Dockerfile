# The packages that cells need on a CPU, compiled, without tests and headers.
# harness images build gives BASE by its digest, and pip's settings as a secret.
ARG BASE
FROM ${BASE} AS build
USER 0:0
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
COPY docker/cpu/requirements.lock /build/requirements.lock
RUN python3 -m venv /opt/venv
# Some packages come as sources only: they are built by the setuptools of this venv, since an
# isolated build would fetch another one without a hash.
RUN --mount=type=secret,id=pip,target=/run/secrets/pip.conf \
    PIP_CONFIG_FILE=/run/secrets/pip.conf /opt/venv/bin/pip install \
    --require-hashes --no-deps --no-build-isolation --no-cache-dir --no-compile \
    --requirement /build/requirements.lock \
    && /opt/venv/bin/pip uninstall --yes --quiet pip
# Tests, headers and static libraries: a fifth of it, and nothing that a cell could use. Of lm_eval,
# whose benchmarks have names such as `include`, nothing is taken.
RUN cd /opt/venv/lib/python3.11/site-packages \
    && find . -depth -type d \( -name tests -o -name test \) \
       -not -path './torch/*' -not -path './lm_eval/*' -exec rm -rf {} + \
    && rm -rf torch/include torch/share torch/test numpy/_core/include pyarrow/include \
       pyarrow/src pyarrow/libarrow_flight* pyarrow/_flight* pyarrow/libarrow_python_flight* \
    && find . -name '*.a' -delete
# Compiled with a hash that is not checked: the same bytes whenever they were written, and quick.
# A few packages bring templates that are no Python, which this tells and passes over.
RUN find /opt/venv -name __pycache__ -prune -exec rm -rf {} + \
    && python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash /opt/venv/lib \
    || true

FROM ${BASE}
USER 0:0
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/venv /opt/venv
COPY sbom.cdx.json /usr/share/sbom/cpu-packages.cdx.json
USER 65532:65532
