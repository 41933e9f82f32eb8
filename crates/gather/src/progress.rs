//! The progress of slow steps: a moving line on a terminal, plain lines elsewhere.

use std::{
    borrow::Cow,
    cell::Cell,
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A running step. If it is dropped before [`Step::done`], nothing is left on the terminal.
pub struct Step {
    bar: Option<ProgressBar>,
    title: Cow<'static, str>,
    started: Instant,
    /// The time of the last printed progress.
    said: Cell<Instant>,
}

impl Step {
    /// Begins a step of unknown length.
    pub fn start(title: impl Into<Cow<'static, str>>) -> Self {
        let title = title.into();
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg} ({elapsed})"));
            bar.set_message(title.to_string());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            say(&format!("{title} …"));
        }
        Self {
            bar,
            title,
            started: Instant::now(),
            said: Cell::new(Instant::now()),
        }
    }

    /// Begins a step during which another program shows its own progress.
    pub fn plain(title: impl Into<Cow<'static, str>>) -> Self {
        let title = title.into();
        say(&format!("{title} …"));
        Self {
            bar: None,
            title,
            started: Instant::now(),
            said: Cell::new(Instant::now()),
        }
    }

    /// Shows the current part of the step.
    pub fn detail(&self, detail: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {detail}", self.title)),
            None => say(&format!("  {detail}")),
        }
    }

    /// Shows the progress, but not at each call, and seldom where each showing is a line.
    pub fn progress(&self, detail: impl FnOnce() -> String) {
        let pause = match &self.bar {
            Some(_) => Duration::from_millis(100),
            None => Duration::from_secs(5),
        };
        if self.said.get().elapsed() >= pause {
            self.said.set(Instant::now());
            self.detail(&detail());
        }
    }

    /// Ends the step, and leaves one line with its result.
    pub fn done(self, outcome: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        say(&format!(
            "✓ {outcome} ({:.1} s)",
            self.started.elapsed().as_secs_f64()
        ));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line past the capture of tests, so that a slow step can be seen while tests run.
pub(crate) fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates in this file are valid")
}
