//! Rebuilds the command when a migration is added: the macro that embeds them sees only the files it was built with.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
