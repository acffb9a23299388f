//! The sequencer's process from outside: reported to, measured.

mod served;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command as Process;

use serde_json::Value;
use tally_client::Client;
use tally_service::deployment::Deployment;

use served::Served;

fn deploy(dir: &Path) {
    let mut deployment = Deployment::development(1_700_000_000);
    deployment.engine.fresh_rounds = 1;
    deployment.engine.max_round_age = 86_400_000;
    deployment.engine.max_round_lead = 86_400_000;
    fs::write(dir.join("deployment.json"), deployment.text()).unwrap();
}

/// Two reporters read a file, one asks a URL; together they make a round.
#[test]
fn t1_reporters_sign_rounds_from_a_file_and_a_url() {
    let dir = tempfile::tempdir().unwrap();
    deploy(dir.path());
    let served = Served::start(dir.path(), &[]);
    let prices = "feed,index,mark,premium\n1,10000000,10000010,-4\n";
    let file = dir.path().join("prices.csv");
    fs::write(&file, prices).unwrap();
    let source = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/prices", source.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = source.accept().unwrap();
        let mut request = [0; 1_024];
        assert!(stream.read(&mut request).unwrap() > 0);
        let length = prices.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + prices).as_bytes()).unwrap();
    });
    // One slot of a day for all three.
    let common = [
        "oracle",
        "--dev",
        "--rounds",
        "1",
        "--every-ms",
        "43200000",
        "--url",
        &served.url,
    ];
    for (reporter, from) in [("0", file.to_str()), ("3", file.to_str()), ("1", None)] {
        let mut arguments = common.to_vec();
        arguments.extend(["--reporter", reporter]);
        match from {
            Some(path) => arguments.extend(["--csv", path]),
            None => arguments.extend(["--source", &url]),
        }
        let reported = tally(&arguments);
        assert_eq!(reported["refused"], serde_json::json!({}), "{reported}");
    }
    answering.join().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status = runtime.block_on(async {
        let client = Client::connect(&served.url).await.unwrap();
        client.status().await.unwrap()
    });
    assert_eq!(status.round, 1);
}

#[test]
fn the_bench_runs_generator_and_service() {
    let arguments = [
        "bench",
        "--seconds",
        "1",
        "--rate",
        "100",
        "--connections",
        "4",
    ];
    let result = tally(&arguments);
    assert!(result["orders"].as_u64().unwrap() > 0, "{result}");
    assert!(result["restart_seconds"].as_f64().unwrap() > 0.0);
    assert!(result["orders_per_second"].as_f64().unwrap() > 0.0);
    assert!(result["p99_ms"].as_f64().unwrap() >= result["p50_ms"].as_f64().unwrap());
    assert_eq!(result["refused"], serde_json::json!({}), "{result}");
}

/// The result of a command that went well.
fn tally(arguments: &[&str]) -> Value {
    let out = Process::new(env!("CARGO_BIN_EXE_tally-sequencer"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).unwrap()
}
