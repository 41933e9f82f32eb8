//! What the model takes, beside ONNX Runtime with the same weights. Prints figures, and asserts nothing:
//! `PYTHON=venv/bin/python cargo test -p embedding --test figures -- --ignored --nocapture`, where that Python has
//! `onnx`, `onnxruntime` and `numpy`; without it only the own figures are printed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use embedding::Model;

/// The words of the passages.
const WORDS: [&str; 16] = [
    "server", "restart", "the", "of", "memory", "when", "agent", "a", "message", "budget", "reads",
    "in", "database", "key", "answers", "slowly",
];

fn text(words: usize, seed: usize) -> String {
    (0..words).fold(String::new(), |mut text, at| {
        let word = WORDS[(seed * 7 + at * at + at / 3) % WORDS.len()];
        let _ = write!(text, "{word} ");
        text
    })
}

/// The time that this process has computed, which the kernel counts in hundredths of a second.
fn computed() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, rest) = stat.rsplit_once(") ").expect("a line");
    let fields: Vec<_> = rest.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .expect("a number");
    kib / 1024
}

#[test]
#[ignore = "figures for people; takes minutes"]
fn figures() {
    let before = memory();
    let started = Instant::now();
    let model = Model::load().expect("the model");
    println!("loading: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    let query = text(10, 1);
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            let started = Instant::now();
            let _ = model.embed(&query);
            started.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "a query of 10 words: p50 {:.2} ms, p99 {:.2} ms",
        times[100].as_secs_f64() * 1e3,
        times[198].as_secs_f64() * 1e3
    );
    let passages: Vec<_> = (0..1000).map(|seed| text(200, seed)).collect();
    let tokens: Vec<_> = passages.iter().map(|text| model.tokens(text)).collect();
    let cpu = computed();
    let started = Instant::now();
    for passage in &passages {
        let _ = model.embed(passage);
    }
    let total: usize = tokens.iter().map(Vec::len).sum();
    println!(
        "1,000 passages of 200 words, {total} tokens: {:.1} s, {:.1} s of CPU",
        started.elapsed().as_secs_f64(),
        (computed() - cpu).as_secs_f64()
    );
    println!(
        "memory: {} MiB, {before} MiB before the model was loaded",
        memory()
    );
    let Ok(python) = std::env::var("PYTHON") else {
        return;
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/figures/onnx_runtime.py");
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/model/model-int8.safetensors");
    let mut child = Command::new(python)
        .args([folder, weights])
        .stdin(Stdio::piped())
        .spawn()
        .expect("Python");
    let given =
        serde_json::to_vec(&(model.tokens(&query), tokens, model.embed(&query))).expect("JSON");
    let mut input = child.stdin.take().expect("an input");
    input.write_all(&given).expect("it reads");
    drop(input);
    child.wait().expect("it ends");
}
