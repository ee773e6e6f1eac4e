//! The program at a real terminal: one of tmux, whose screen is read and whose keys are pressed.

use crate::program::{Folder, TIMEOUT};
use std::{
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Whether there is a tmux.
pub(crate) fn is_there() -> bool {
    Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success())
}

/// A terminal with the program in it.
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    /// Starts the program with these arguments in a terminal of 100 columns; `None` where there is no tmux.
    pub(crate) fn start(folder: &Folder, arguments: &[&str]) -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        if !is_there() {
            crate::required::missing("tmux");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { socket: format!("mpscript-test-{}-{number}", std::process::id()) };
        let command = folder.command(arguments);
        let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let mut line = "exec env -i LANG=C.UTF-8 PATH=/usr/bin:/bin TERM=screen-256color".to_owned();
        for (name, value) in command.get_envs() {
            let value = value.unwrap_or_default().to_string_lossy();
            line.push_str(&format!(" {}", quote(&format!("{}={value}", name.to_string_lossy()))));
        }
        for part in std::iter::once(command.get_program()).chain(command.get_args()) {
            line.push_str(&format!(" {}", quote(&part.to_string_lossy())));
        }
        let line = format!("cd {} && {line}", quote(&folder.path().to_string_lossy()));
        terminal.tmux(&["new-session", "-d", "-x", "100", "-y", "50", &line]);
        terminal.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", &self.socket, "-f", "/dev/null"]).args(arguments);
        command.env_remove("TMUX").output().expect("tmux starts")
    }

    /// Types a text.
    pub(crate) fn type_in(&self, text: &str) {
        // tmux takes a semicolon at the end for its own.
        let text = text.strip_suffix(';').map_or_else(|| text.to_owned(), |text| format!("{text}\\;"));
        self.tmux(&["send-keys", "-l", "--", &text]);
    }

    /// Presses a key: `Enter`, `Tab`, `C-c`.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Clears the line that is typed, and waits until the next one is asked for: between two lines keys are the
    /// terminal's own.
    #[track_caller]
    pub(crate) fn clear_line(&self) {
        let asked = |screen: &str| screen.matches("> ").count() + usize::from(screen.ends_with('>'));
        let before = asked(&self.screen());
        self.press("C-c");
        self.wait("new line", |screen| screen.ends_with('>') && asked(screen) > before);
    }

    /// Types a line and ends it.
    pub(crate) fn line(&self, text: &str) {
        self.type_in(text);
        self.press("Enter");
    }

    /// Pastes a text, as a terminal that marks what is pasted does.
    pub(crate) fn paste(&self, text: &str) {
        self.tmux(&["set-buffer", "--", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    /// What stands on the screen, without the blanks at the ends.
    pub(crate) fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-S", "-200"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines.join("\n")
    }

    /// The same with colours.
    pub(crate) fn colours(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-e"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the program has ended.
    #[track_caller]
    pub(crate) fn is_left(&self) {
        let since = Instant::now();
        while self.tmux(&["display-message", "-p", "#{pane_dead}"]).stdout != b"1\n" {
            assert!(since.elapsed() < TIMEOUT, "it goes on:\n{}", self.screen());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the screen ends so; how long something took, which a slow machine says more often, may be left out.
    #[track_caller]
    pub(crate) fn ends_with(&self, words: &str) {
        let is_time =
            |line: &&str| line.contains(" s, ") && (line.ends_with(" calls") || line.ends_with(" call"));
        self.wait(words, |screen| {
            let untimed: Vec<&str> = screen.lines().filter(|line| !is_time(line)).collect();
            screen.ends_with(words) || untimed.join("\n").ends_with(words)
        });
    }

    /// Waits until the screen holds this.
    #[track_caller]
    pub(crate) fn shows(&self, words: &str) {
        self.wait(words, |screen| screen.contains(words));
    }

    #[track_caller]
    fn wait(&self, words: &str, is_there: impl Fn(&str) -> bool) {
        let since = Instant::now();
        loop {
            let screen = self.screen();
            if is_there(&screen) {
                return;
            }
            assert!(since.elapsed() < TIMEOUT, "no {words:?} on\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
