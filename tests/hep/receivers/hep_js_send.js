// Sends to this port, as hep-js makes packets of them, what comes on standard input: a list of [payload, rcinfo].
const hep = require("hep-js");
const socket = require("dgram").createSocket("udp4");
const packets = JSON.parse(require("fs").readFileSync(0, "utf8"));
const send = () => {
  if (!packets.length) return socket.close();
  const [payload, rcinfo] = packets.shift();
  socket.send(hep.encapsulate(payload, rcinfo), Number(process.argv[2]), "127.0.0.1", send);
};
send();
