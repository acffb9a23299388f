#!/usr/bin/env node
"use strict";
// Writes contracts/artifacts/ from forge's output: the ABI and the bytecode that Rust needs. With
// --check it compares instead: a build of these sources gives exactly these bytes.
const fs = require("fs");
const path = require("path");

const root = path.join(__dirname, "..");
// The mocks are for a client's tests against a development chain.
const contracts = [
  ["Settlement.sol", "Settlement"],
  ["WrapVerifier.sol", "WrapVerifier"],
  ["MockVerifier.sol", "MockVerifier"],
  ["Tokens.sol", "MockToken"],
];

let stale = 0;
for (const [file, name] of contracts) {
  const built = JSON.parse(fs.readFileSync(path.join(root, "out", file, `${name}.json`), "utf8"));
  const artifact = { abi: built.abi, bytecode: built.bytecode.object };
  const text = JSON.stringify(artifact, null, 1) + "\n";
  const target = path.join(root, "artifacts", `${name}.json`);
  if (process.argv.includes("--check")) {
    const committed = fs.existsSync(target) ? fs.readFileSync(target, "utf8") : "";
    if (committed !== text) {
      console.error(`contracts/artifacts/${name}.json is not what its sources compile to`);
      stale = 1;
    }
  } else {
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text);
  }
}
process.exit(stale);
