//! Prepares the files of `static/site`: compresses each once, and derives the version that their addresses carry.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// Texts for programs, beside the folder: they have addresses of their own.
const TEXTS: [&str; 2] = ["llms.txt", "openapi.json"];

fn main() -> io::Result<()> {
    let variable = |name| PathBuf::from(env::var_os(name).unwrap_or_default());
    let above = variable("CARGO_MANIFEST_DIR").join("../../static");
    let above = above.canonicalize()?;
    let folder = above.join("site");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    list(&folder, &mut files)?;
    files.sort();

    let out = variable("OUT_DIR");
    let (mut version, mut table) = (Sha256::new(), String::new());
    for (number, path) in files.iter().enumerate() {
        let name = path.strip_prefix(&folder).map_err(io::Error::other)?;
        let name = name.to_string_lossy().replace('\\', "/");
        let content = fs::read(path)?;
        version.update(format!("{name}\0{}\0", content.len()));
        version.update(&content);
        table += &asset(&name, path, &content, &out.join(number.to_string()))?;
    }
    let mut texts = String::new();
    for name in TEXTS {
        let path = above.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        texts += &asset(name, &path, &fs::read(&path)?, &out.join(name))?;
    }
    let version: String = version.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let table = format!(
        "/// Identifies the content of all files.\npub const VERSION: &str = {version:?};\n\
         static ASSETS: &[Asset] = &[\n{table}];\nstatic TEXTS: &[Asset] = &[\n{texts}];\n"
    );
    fs::write(out.join("assets.rs"), table)
}

/// A file's entry in the table, after the compressed forms are written beside `compressed`.
fn asset(name: &str, path: &Path, content: &[u8], compressed: &Path) -> io::Result<String> {
    let gzip = compressed.with_added_extension("gz");
    fs::write(&gzip, gzipped(content)?)?;
    let brotli = compressed.with_added_extension("br");
    fs::write(&brotli, brotlied(content)?)?;
    Ok(format!(
        "Asset {{ name: {name:?}, kind: {:?}, plain: include_bytes!({path:?}), \
         gzip: include_bytes!({gzip:?}), brotli: include_bytes!({brotli:?}) }},\n",
        kind(path)
    ))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        _ => "text/plain; charset=utf-8",
    }
}

fn gzipped(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

fn brotlied(content: &[u8]) -> io::Result<Vec<u8>> {
    let (mut compressed, mut content) = (Vec::new(), content);
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 10,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut content, &mut compressed, &parameters)?;
    Ok(compressed)
}
