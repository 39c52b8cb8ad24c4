// Prints the port it listens on, then one JSON line for each datagram that hep-js decodes.
const hep = require("hep-js");
const socket = require("dgram").createSocket("udp4");
socket.on("message", (datagram) => console.log(JSON.stringify(hep.decapsulate(datagram))));
socket.on("listening", () => console.log(socket.address().port));
socket.bind(0, "127.0.0.1");
