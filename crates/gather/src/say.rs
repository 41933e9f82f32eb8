//! Printing for people and pipes.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write, stdout},
    process::exit,
};

/// Prints a line. Where nobody reads any more, as after `gather … | head`, the command has done its work and ends. Not for
/// what serves, which has more to do then, and something to put in order before it ends.
macro_rules! say {
    ($($part:tt)*) => {
        $crate::say::line(format_args!($($part)*))
    };
}

/// Prints what [`say!`] was given.
#[expect(clippy::panic, reason = "as `println!` does")]
pub fn line(text: Arguments<'_>) {
    match writeln!(stdout().lock(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(0),
        Err(error) => panic!("can't print: {error}"),
    }
}
