// Deploys the verifier and its adapter on an anvil of its own, calls both with a proof and with what
// must be refused, and prints one JSON object.
import { spawn } from "node:child_process";
import { createServer } from "node:net";

const input = JSON.parse(process.env.TALLY_INPUT);
const listen = (server) => new Promise((done) => server.listen(0, "127.0.0.1", done));
const server = createServer();
await listen(server);
const port = server.address().port;
await new Promise((done) => server.close(done));
const anvil = spawn(process.argv.at(-1), ["--port", String(port), "--silent"], { stdio: "ignore" });

const rpc = async (method, params) => {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const headers = { "content-type": "application/json" };
  const reply = await fetch(`http://127.0.0.1:${port}`, { method: "POST", headers, body });
  const { result, error } = await reply.json();
  if (error) throw new Error(error.message);
  return result;
};
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const started = async () => {
  for (let i = 0; i < 150; i += 1) {
    try {
      return await rpc("eth_accounts", []);
    } catch {
      await pause(200);
    }
  }
  throw new Error("anvil does not answer");
};
const word = (value) => BigInt(value).toString(16).padStart(64, "0");

try {
  const [from] = await started();
  const send = async (transaction) => {
    const hash = await rpc("eth_sendTransaction", [{ from, gas: "0x1000000", ...transaction }]);
    for (;;) {
      const receipt = await rpc("eth_getTransactionReceipt", [hash]);
      if (receipt) return receipt;
      await pause(50);
    }
  };
  const verifier = (await send({ data: `0x${input.verifier}` })).contractAddress;
  const construction = word(verifier) + word(input.development ? 1 : 0);
  const adapter = (await send({ data: `0x${input.adapter}${construction}` })).contractAddress;
  const selector = async (signature) => {
    const digest = await rpc("web3_sha3", [`0x${Buffer.from(signature).toString("hex")}`]);
    return digest.slice(0, 10);
  };
  const verify = await selector("verify(bytes,uint256[3])");
  const encode = (instances, proof) => {
    const padded = proof.padEnd(64 * Math.ceil(proof.length / 64), "0");
    return verify + word(128) + instances.map(word).join("") + word(proof.length / 2) + padded;
  };
  const ask = async (data) => BigInt(await rpc("eth_call", [{ to: adapter, data }, "latest"])) === 1n;

  const instances = [0, 1, 2].map((i) => BigInt(`0x${input.calldata.slice(64 * i, 64 * i + 64)}`));
  const proof = input.calldata.slice(192);
  const wrong = {};
  for (const bit of [0, 1000, 4 * proof.length - 1]) {
    const bytes = Buffer.from(proof, "hex");
    bytes[bit >> 3] ^= 1 << (bit & 7);
    wrong[`bit ${bit}`] = encode(instances, bytes.toString("hex"));
  }
  const r = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001n;
  for (const i of [0, 1, 2]) {
    const raised = (by) => instances.map((x, j) => (i === j ? x + by : x));
    wrong[`instance ${i}`] = encode(raised(1n), proof);
    wrong[`instance ${i} + r`] = encode(raised(r), proof);
  }
  wrong.shorter = encode(instances, proof.slice(0, -64));

  const own = await send({ to: verifier, data: `0x${input.calldata}` });
  const asked = await send({ to: adapter, data: encode(instances, proof) });
  const accepted = own.status === "0x1" && (await ask(encode(instances, proof)));
  const wronglyAccepted = [];
  for (const [name, data] of Object.entries(wrong)) {
    if (await ask(data)) wronglyAccepted.push(name);
  }
  console.log(JSON.stringify({
    verifier_gas: Number(own.gasUsed),
    adapter_gas: Number(asked.gasUsed),
    accepted,
    wrongly_accepted: wronglyAccepted,
    development: await ask(await selector("devSetup()")),
  }));
} finally {
  anvil.kill();
}
