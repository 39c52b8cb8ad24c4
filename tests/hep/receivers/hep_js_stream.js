// Prints the port it listens on, then one JSON line for each HEP packet of its connections. With a file: TLS, the
// file has the certificate and its key.
const hep = require("hep-js");
const file = process.argv[2];
const serve = (connection) => {
  let rest = Buffer.alloc(0);
  connection.on("data", (data) => {
    rest = Buffer.concat([rest, data]);
    while (rest.length >= 6 && rest.length >= rest.readUInt16BE(4)) {
      const size = rest.readUInt16BE(4);
      if (rest.toString("latin1", 0, 4) !== "HEP3" || size < 6) {
        console.log(JSON.stringify({ broken: rest.toString("hex", 0, 16) }));
        connection.destroy();
        return;
      }
      console.log(JSON.stringify(hep.decapsulate(rest.subarray(0, size))));
      rest = rest.subarray(size);
    }
  });
  connection.on("end", () => console.log(JSON.stringify({ ended: rest.length })));
  connection.on("error", (error) => console.log(JSON.stringify({ broken: String(error) })));
};
const pem = file && require("fs").readFileSync(file);
const server = file
  ? require("tls").createServer({ cert: pem, key: pem }, serve)
  : require("net").createServer(serve);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
