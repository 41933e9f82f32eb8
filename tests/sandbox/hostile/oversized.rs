//! Components that attack by their size: too large to be written down, so they are made here.

use super::fixtures::Hostile;
use anyhow::Result;
use std::fmt::Write;

/// Those that are made here.
pub fn made() -> Result<Vec<Hostile>> {
    let mut all = not_components()?;
    all.extend(large_code()?);
    all.extend(large_types()?);
    all.extend(long_names()?);
    all.extend(many_parts()?);
    all.extend(lying_sections()?);
    Ok(all)
}

/// A component around a core module that exports `attack`, with what stands before the lifting.
fn around(module: &str, before: &str, signature: &str) -> String {
    format!(
        r#"(component {before}
            (core module $m {module})
            (core instance $i (instantiate $m))
            (func (export "attack") {signature} (canon lift (core func $i "attack") {options})))"#,
        options = if module.contains("\"memory\"") {
            "(memory (core memory $i \"memory\"))"
        } else {
            ""
        },
    )
}

const NOTHING: &str = r#"(func (export "attack"))"#;

fn harmless() -> Result<Vec<u8>> {
    Ok(wat::parse_str(around(NOTHING, "", ""))?)
}

fn not_components() -> Result<Vec<Hostile>> {
    let whole = harmless()?;
    let refused =
        |name: &str, bytes: &[&[u8]]| Hostile::new(name, "not-a-component", bytes.concat());
    let mut all = vec![
        refused("nothing at all", &[]),
        refused("an image", &[b"GIF89a", &[0; 100]]),
        refused("text of WebAssembly", &[b"(component)"]),
        refused("garbage before a component", &[b"garbage", &whole]),
        refused("garbage after a component", &[&whole, b"\xff\xff\xff\xff"]),
        refused("a component twice", &[&whole, &whole]),
        refused("a component of the future", &[b"\0asm\x0e\0\x01\0"]),
        refused("a layer of the future", &[b"\0asm\x0d\0\x02\0"]),
        refused(
            "a section that is longer than the file",
            &[&whole[..8], b"\x00\xff\xff\xff\xff\x0f"],
        ),
        refused(
            "a length that is no number",
            &[&whole[..8], b"\x00\xff\xff\xff\xff\xff\xff"],
        ),
        Hostile::new(
            "a component of which there is only the beginning",
            "nothing-callable",
            whole[..8].to_vec(),
        ),
    ];
    // Cut off anywhere else, between two sections too, it is no component, or one without the tool.
    for at in (9..whole.len()).step_by(7) {
        let name = format!("a component that is cut off after {at} bytes");
        all.push(Hostile::new(
            &name,
            "not-a-component | nothing-callable",
            whole[..at].to_vec(),
        ));
    }
    Ok(all)
}

/// What a compiler needs long for, or much memory.
fn large_code() -> Result<Vec<Hostile>> {
    const VALUES: usize = 3_000;
    let functions: String = (0..10_000)
        .map(|n| format!("(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {n})))"))
        .collect();
    let nested = format!(
        "(func {} {})",
        "block ".repeat(50_000),
        "end ".repeat(50_000)
    );
    let cases = |count| {
        format!(
            "(func (param i32) (block (br_table {} (local.get 0))))",
            "0 ".repeat(count)
        )
    };
    let locals = format!("(func (local {}))", "v128 ".repeat(50_000)).repeat(20);
    // Thousands of values that are all needed to the end: what an allocator of registers is slowest at.
    let mut live =
        "(func (param i64) (result i64) (local ".to_owned() + &"i64 ".repeat(VALUES) + ")";
    for n in 1..=VALUES {
        write!(
            live,
            "(local.set {n} (i64.rotl (local.get {}) (local.get 0)))",
            n - 1
        )?;
    }
    live += "(loop ";
    for n in 1..=VALUES {
        write!(
            live,
            "(local.set {n} (i64.mul (local.get {n}) (local.get {})))",
            VALUES + 1 - n
        )?;
    }
    live += "(br_if 0 (i64.eqz (local.get 7)))) (local.get 7))";
    let segments = "(data (i32.const 0) \"x\")".repeat(50_000);
    let code = |name: &str, must: &str, code: &str| {
        Hostile::text(name, must, &around(&format!("{code} {NOTHING}"), "", ""))
    };
    Ok(vec![
        code("ten thousand functions", "answered null", &functions)?,
        code("fifty thousand nested blocks", "answered null", &nested)?,
        code(
            "a switch of a million cases",
            "skill-unusable",
            &cases(1_000_000),
        )?,
        code(
            "twenty switches of sixty thousand cases",
            "answered null",
            &cases(60_000).repeat(20),
        )?,
        code("a million locals", "answered null", &locals)?,
        code(
            "three thousand values that live at once",
            "answered null",
            &live,
        )?,
        code(
            "fifty thousand data segments",
            "answered null",
            &format!("(memory 1) {segments}"),
        )?,
        code(
            "a data segment beyond the memory",
            "skill-trapped",
            "(memory 1) (data (i32.const 65536) \"x\")",
        )?,
        code(
            "an element segment beyond the table",
            "skill-trapped",
            "(func $f) (table 1 funcref) (elem (i32.const 9) $f)",
        )?,
        code(
            "a hundred memories",
            "skill-unusable",
            &"(memory 1)".repeat(100),
        )?,
        code(
            "two tables in one module",
            "skill-unusable",
            "(table 1 funcref) (table 1 funcref)",
        )?,
    ])
}

/// Types that are larger than they look.
fn large_types() -> Result<Vec<Hostile>> {
    // A type has a name where the world imports it.
    let named = |level: usize, kind: &str| {
        format!("(type $t{level}' {kind}) (import \"t{level}\" (type $t{level} (eq $t{level}')))")
    };
    let levels = |count: usize, kind: fn(usize) -> String| -> String {
        let rest = (1..count).map(|level| named(level, &kind(level - 1)));
        std::iter::once(named(0, "(record (field \"a\" u32))"))
            .chain(rest)
            .collect()
    };
    let module =
        r#"(memory (export "memory") 1) (func (export "attack") (result i32) i32.const 1024)"#;
    let returning = |name: &str, must: &str, types: &str, last: usize| {
        Hostile::text(
            name,
            must,
            &around(module, types, &format!("(result (list $t{last}))")),
        )
    };
    let deep = |count| levels(count, |below| format!("(record (field \"a\" $t{below}))"));
    let doubling = |count| {
        levels(count, |below| {
            format!("(record (field \"a\" $t{below}) (field \"b\" $t{below}))")
        })
    };
    // A list is no larger than what it lists, so that no limit on the size of a type sees this one.
    let lists = levels(40, |below| {
        format!("(record (field \"a\" (list $t{below})) (field \"b\" (list $t{below})))")
    });
    let cases: String = (0..10_000)
        .map(|n| format!("(case \"c{n}\" u64)"))
        .collect();
    let fields: String = (0..10_000)
        .map(|n| format!("(field \"f{n}\" u64)"))
        .collect();
    Ok(vec![
        returning(
            "records within eighty records",
            "nothing-callable",
            &deep(80),
            79,
        )?,
        returning(
            "records within a hundred records",
            "not-a-component",
            &deep(99),
            98,
        )?,
        returning(
            "types that double sixteen times",
            "nothing-callable",
            &doubling(16),
            15,
        )?,
        returning(
            "types that double forty times",
            "not-a-component",
            &doubling(40),
            39,
        )?,
        returning(
            "lists that double forty times",
            "not-a-component",
            &lists,
            39,
        )?,
        returning(
            "ten thousand cases",
            "nothing-callable",
            &named(0, &format!("(variant {cases})")),
            0,
        )?,
        returning(
            "ten thousand fields",
            "nothing-callable",
            &named(0, &format!("(record {fields})")),
            0,
        )?,
    ])
}

/// Values that carry their names with them in the host: a byte in the skill is a hundred kilobytes there.
fn long_names() -> Result<Vec<Hostile>> {
    let name = |n: usize| format!("n{n}{}", "x".repeat(90_000));
    let list = |what: &str, kind: &str, bytes: &str| {
        let types = format!("(type $t' {kind}) (import \"t\" (type $t (eq $t')))");
        let module = format!(
            r#"(memory (export "memory") 400)
               (func (export "attack") (result i32)
                 (memory.fill (i32.const 1024) (i32.const {bytes}) (i32.const 26000000))
                 (i32.store (i32.const 16) (i32.const 1024))
                 (i32.store (i32.const 20) (i32.const 1000000))
                 (i32.const 16))"#
        );
        Hostile::text(
            what,
            "skill-output",
            &around(&module, &types, "(result (list $t))"),
        )
    };
    let flags: String = (0..32).map(|n| format!("\"{}\" ", name(n))).collect();
    Ok(vec![
        list(
            "cases with long names",
            &format!("(enum \"{}\")", name(0)),
            "0",
        )?,
        list(
            "fields with long names",
            &format!("(record (field \"{}\" bool))", name(0)),
            "0",
        )?,
        list(
            "payloads with long names",
            &format!("(variant (case \"{}\" u8))", name(0)),
            "0",
        )?,
        list("flags with long names", &format!("(flags {flags})"), "255")?,
    ])
}

/// Instances and components without number.
fn many_parts() -> Result<Vec<Hostile>> {
    let with = |name: &str, must: &str, before: &str| {
        Hostile::text(name, must, &around(NOTHING, before, ""))
    };
    let instances = |count| "(core instance (instantiate $n))".repeat(count);
    // Each level instantiates the one below twice: forty lines, a trillion instances.
    let mut doubling =
        "(component $c0 (core module $n) (core instance (instantiate $n)))".to_owned();
    for level in 1..40 {
        let below = level - 1;
        write!(
            doubling,
            "(component $c{level} (alias outer 1 $c{below} (component $b)) (instance (instantiate $b)) (instance (instantiate $b)))"
        )?;
    }
    doubling += "(instance (instantiate $c39))";
    let tools: String = (0..300)
        .map(|n| {
            format!("(func (export \"attack-number{n}\") (canon lift (core func $i \"attack\")))")
        })
        .collect();
    let tools = format!(
        "(component (core module $m {NOTHING}) (core instance $i (instantiate $m)) {tools})"
    );
    let aliases = "(alias core export $x \"attack\" (core func))".repeat(20_000);
    let aliases =
        format!("(core module $o {NOTHING}) (core instance $x (instantiate $o)) {aliases}");
    Ok(vec![
        with(
            "nine hundred instances",
            "skill-unusable",
            &format!("(core module $n (memory 1)) {}", instances(900)),
        )?,
        with(
            "more memories than there are",
            "skill-unusable",
            &format!("(core module $n (memory 1)) {}", instances(3)),
        )?,
        with(
            "tables as many and as large as they may be",
            "answered null",
            &format!("(core module $n (table 40000 funcref)) {}", instances(99)),
        )?,
        with(
            "nine hundred components",
            "answered null",
            &"(component)".repeat(900),
        )?,
        Hostile::new(
            "components within components",
            "not-a-component",
            nested(100_000),
        ),
        with(
            "instances that double with each level",
            "skill-unusable",
            &doubling,
        )?,
        with("twenty thousand aliases", "answered null", &aliases)?,
        Hostile::text(
            "more tools than a skill may have",
            "nothing-callable",
            &tools,
        )?,
    ])
}

/// Sections that say what is not true, or say much.
fn lying_sections() -> Result<Vec<Hostile>> {
    let whole = harmless()?;
    let with = |name: &str, sections: &[(&str, Vec<u8>)]| {
        let mut wasm = whole.clone();
        for (section, content) in sections {
            append(&mut wasm, section, content);
        }
        // Nothing that only describes a component may keep it from running.
        Hostile::new(name, "answered null", wasm)
    };
    let deep = [b"\x01".as_slice(), &b"[".repeat(1 << 20)].concat();
    let deep_object = [b"\x01".as_slice(), &b"{\"worlds\":".repeat(100_000)].concat();
    let many = vec![("x", Vec::new()); 20_000];
    Ok(vec![
        with("eight megabytes of nothing", &[("x", vec![b'A'; 8 << 20])]),
        with("twenty thousand empty sections", &many),
        with(
            "comments that are nested a million levels deep",
            &[("package-docs", deep)],
        ),
        with(
            "comments in worlds in worlds",
            &[("package-docs", deep_object)],
        ),
        with(
            "comments that are no text",
            &[("package-docs", vec![1, 0xff, 0xfe])],
        ),
        with(
            "producers that are four billion",
            &[("producers", b"\xff\xff\xff\xff\x0f\x08language".to_vec())],
        ),
        with(
            "names that are longer than their section",
            &[("component-name", b"\x00\xff\xff\xff\xff\x0fx".to_vec())],
        ),
        with(
            "producers twice",
            &[("producers", b"\0".to_vec()), ("producers", b"\0".to_vec())],
        ),
    ])
}

/// A component in a component in a component.
fn nested(levels: usize) -> Vec<u8> {
    const SECTION: u8 = 4;
    // From the innermost outwards, and backwards, so that no level is copied.
    let mut backwards = Vec::new();
    for level in 0..levels {
        if level > 0 {
            let size = leb128(backwards.len());
            backwards.extend(size.iter().rev());
            backwards.push(SECTION);
        }
        backwards.extend(b"\0asm\x0d\0\x01\0".iter().rev());
    }
    backwards.reverse();
    backwards
}

/// Appends a custom section.
fn append(wasm: &mut Vec<u8>, name: &str, content: &[u8]) {
    let name = [leb128(name.len()).as_slice(), name.as_bytes()].concat();
    wasm.push(0);
    wasm.extend(leb128(name.len() + content.len()));
    wasm.extend(name);
    wasm.extend(content);
}

/// Unsigned LEB128, as sizes are written.
fn leb128(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}
