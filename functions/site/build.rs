//! Prepares the files of `static/site`: compresses each once, and derives the version that their addresses carry.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

fn main() -> io::Result<()> {
    let variable = |name| PathBuf::from(env::var_os(name).unwrap_or_default());
    let folder = variable("CARGO_MANIFEST_DIR").join("../../static/site");
    let folder = folder.canonicalize()?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    list(&folder, &mut files)?;
    files.sort();

    let out = variable("OUT_DIR");
    let (mut version, mut table) = (Sha256::new(), String::new());
    for (number, path) in files.iter().enumerate() {
        let content = fs::read(path)?;
        let name = path.strip_prefix(&folder).map_err(io::Error::other)?;
        let name = name.to_string_lossy().replace('\\', "/");
        version.update(format!("{name}\0{}\0", content.len()));
        version.update(&content);
        let gzip = out.join(format!("{number}.gz"));
        fs::write(&gzip, gzipped(&content)?)?;
        let brotli = out.join(format!("{number}.br"));
        fs::write(&brotli, brotlied(&content)?)?;
        table += &format!(
            "Asset {{ name: {name:?}, kind: {:?}, plain: include_bytes!({path:?}), \
             gzip: include_bytes!({gzip:?}), brotli: include_bytes!({brotli:?}) }},\n",
            kind(path)
        );
    }
    let version: String = version.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let table = format!(
        "/// Identifies the content of all files.\npub const VERSION: &str = {version:?};\n\
         static ASSETS: &[Asset] = &[\n{table}];\n"
    );
    fs::write(out.join("assets.rs"), table)
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
