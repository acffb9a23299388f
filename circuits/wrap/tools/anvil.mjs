// An anvil of its own behind lines of JSON: each line on stdin is a request, each line on stdout its
// answer. It ends with stdin.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

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
const send = async (from, transaction) => {
  const hash = await rpc("eth_sendTransaction", [{ from, gas: "0x1000000", ...transaction }]);
  for (;;) {
    const receipt = await rpc("eth_getTransactionReceipt", [hash]);
    if (receipt) return receipt;
    await pause(50);
  }
};
const answer = async (from, { ask, ...transaction }) => {
  if (ask) {
    try {
      return { output: await rpc("eth_call", [ask, "latest"]) };
    } catch {
      return {};
    }
  }
  const { status, gasUsed, contractAddress } = await send(from, transaction);
  return { succeeded: status === "0x1", gas: Number(gasUsed), created: contractAddress };
};

try {
  const [from] = await started();
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(from, JSON.parse(line))));
  }
} finally {
  anvil.kill();
}
