"""A small HEP collector: prints and counts what it receives over TCP and UDP. For the demo and a first try.

python tools/demo_collector.py [PORT]      127.0.0.1, 9060 if not given; 0 takes a free one. Ends with Ctrl-C
                                           or with the end of its standard input.
"""

import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime

from hep import HepError, Packet, StreamDecoder, decode

HOST, DEFAULT_PORT = "127.0.0.1", 9060


class Collector:
    """Received packets, by kind of message."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def take(self, packet: Packet) -> None:
        line = (packet.payload or b"no payload").partition(b"\r\n")[0].decode(errors="replace")
        self.seen[line.split(" ")[1] if line.startswith("SIP/2.0 ") else line.split(" ")[0]] += 1
        time = datetime.fromtimestamp(packet.seconds or 0, UTC).strftime("%H:%M:%S")
        source = f"{packet.source_address}:{packet.source_port}"
        destination = f"{packet.destination_address}:{packet.destination_port}"
        print(f"{time}.{packet.microseconds or 0:06d}  {source:>18} > {destination:18}  {line}", flush=True)

    def refuse(self, error: HepError) -> None:
        self.seen["refused"] += 1
        print(f"refused: {error}", flush=True)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = StreamDecoder()
        while data := await reader.read(65536):
            packets = decoder.feed(data)
            while True:
                try:
                    self.take(next(packets))
                except StopIteration:
                    break
                except HepError as error:
                    self.refuse(error)
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    def datagram_received(self, data: bytes, addr: object) -> None:
        try:
            self.collector.take(decode(data))
        except HepError as error:
            self.collector.refuse(error)


async def serve(port: int) -> Counter[str]:
    collector = Collector()
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(collector.connection, HOST, port)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(collector), (HOST, port))
    print(f"listening on {HOST}:{port}, TCP and UDP", flush=True)
    try:
        # If our parent is gone, for whatever reason, our standard input is closed.
        await loop.run_in_executor(None, sys.stdin.read)
    finally:
        server.close()
        transport.close()
    return collector.seen


def main() -> None:
    try:
        seen = asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PORT))
    except KeyboardInterrupt:
        return
    print(f"{seen.total()} packets: " + ", ".join(f"{count} {kind}" for kind, count in seen.most_common()))


if __name__ == "__main__":
    main()
