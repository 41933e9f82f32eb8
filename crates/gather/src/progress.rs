//! What a person sees while something takes long: a moving line on a terminal, plain lines elsewhere.

use std::{
    borrow::Cow,
    cell::Cell,
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// One step that is under way. Dropped before [`Step::done`], it leaves nothing on the terminal.
pub struct Step {
    bar: Option<ProgressBar>,
    title: Cow<'static, str>,
    started: Instant,
    /// When the last progress was said.
    said: Cell<Instant>,
}

impl Step {
    /// Begins a step whose length nobody knows.
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

    /// Says what is being done now, within the step.
    pub fn detail(&self, detail: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {detail}", self.title)),
            None => say(&format!("  {detail}")),
        }
    }

    /// Says how far it is, but not each time: seldom where each saying is a line.
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

    /// Ends the step and leaves one line that says how it went.
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

/// Writes a line past the tests' capture, since what takes long there takes long for everybody who waits for them.
fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates in this file are valid")
}
