# docker build -t capture-agent .
# docker run --rm --network host --cap-drop ALL --cap-add NET_RAW capture-agent run -i eth0 --hep hep:127.0.0.1:9060
#
# The user is not root. A file capability on the interpreter allows it to capture packets. --cap-add NET_RAW is needed:
# the kernel refuses to start a file whose capabilities are outside the container's bounding set.
FROM python:3.12-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# No versions: Debian keeps the newest build only, and one that is pinned cannot be installed for long.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev libcap2-bin \
    && rm -rf /var/lib/apt/lists/*
# --copies: the capability is set on this environment's own interpreter, not on the system's.
RUN python -m venv --copies /opt/capture-agent
WORKDIR /src
COPY pyproject.toml setup.py README.md ./
COPY capture_agent capture_agent
COPY hep hep
RUN /opt/capture-agent/bin/pip install --no-cache-dir ".[all]" \
    && /opt/capture-agent/bin/capture-agent --version | grep -q compiled \
    && setcap cap_net_raw=eip "$(readlink -f /opt/capture-agent/bin/python3)"

FROM python:3.12-slim-bookworm
COPY --from=build /opt/capture-agent /opt/capture-agent
# The first folder is for the control socket, the second for SQLite files.
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/capture-agent capture-agent \
    && install -d -o capture-agent -m 0700 /run/capture-agent
ENV PATH=/opt/capture-agent/bin:$PATH RUNTIME_DIRECTORY=/run/capture-agent
# Its number: Kubernetes sees that it is not root.
USER 10001
WORKDIR /var/lib/capture-agent
# That a running agent answers on its control socket.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["capture-agent", "status", "check"]
ENTRYPOINT ["capture-agent"]
CMD ["--help"]
