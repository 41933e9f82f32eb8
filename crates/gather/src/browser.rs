//! Opens the site in the user's browser.

use std::process::{Command, Stdio};

/// The programs that open an address, the first that works.
const OPENERS: [&str; 3] = ["xdg-open", "wslview", "gio"];

/// Opens an address in the browser, or says where it is if no browser can be started.
pub fn open(url: &str) {
    // Without a screen some of the programs start a browser of text in this terminal.
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let url = url.to_owned();
    std::thread::spawn(move || {
        let opened = has_screen && OPENERS.iter().any(|opener| opens(opener, &url));
        if !opened {
            println!("No browser could be opened from here. The site is at {url}");
        }
    });
}

fn opens(opener: &str, url: &str) -> bool {
    let mut command = Command::new(opener);
    if opener == "gio" {
        command.arg("open");
    }
    command.arg(url);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
