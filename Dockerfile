# docker build -t capture-agent .
# docker run --rm --network host --cap-drop ALL --cap-add NET_RAW --cap-add NET_ADMIN capture-agent run -i eth0 --hep hep:127.0.0.1:9060
#
# The user is not root. File capabilities on the interpreter allow it to capture packets. Both --cap-add are needed: the
# kernel refuses to start a file whose capabilities are outside the container's bounding set.
FROM python:3.12-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev libcap2-bin \
    && rm -rf /var/lib/apt/lists/*
# --copies: the capabilities are set on this environment's own interpreter, not on the system's.
RUN python -m venv --copies /opt/capture-agent
WORKDIR /src
COPY pyproject.toml setup.py README.md ./
COPY capture_agent capture_agent
COPY hep hep
RUN /opt/capture-agent/bin/pip install --no-cache-dir ".[http,postgresql,mysql,regex,compression]" \
    && /opt/capture-agent/bin/capture-agent --version | grep -q compiled \
    && setcap cap_net_raw,cap_net_admin=eip "$(readlink -f /opt/capture-agent/bin/python3)"

FROM python:3.12-slim-bookworm
COPY --from=build /opt/capture-agent /opt/capture-agent
RUN useradd --system --create-home --home-dir /var/lib/capture-agent capture-agent
ENV PATH=/opt/capture-agent/bin:$PATH
USER capture-agent
WORKDIR /var/lib/capture-agent
ENTRYPOINT ["capture-agent"]
CMD ["--help"]
