//! The identity of a process among all that ever share a store, and its text in records and leases.

use std::{fmt, str::FromStr};

/// A process, of whichever machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessId {
    /// Its machine's host name.
    pub machine: String,
    /// Its number there.
    pub pid: u32,
    /// Distinguishes a reused pid; `None` where the system has no `/proc`.
    pub start: Option<StartId>,
}

/// Identifies a process among all of a machine that ever have its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartId {
    /// The boot of the machine.
    pub boot: String,
    /// The namespace that its number belongs to.
    pub namespace: u64,
    /// When it started, in ticks of the boot's clock.
    pub ticks: u64,
}

/// A text that names no process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` names no process: expected `MACHINE/PID BOOT.NAMESPACE.TICKS`")]
pub struct UnknownProcess {
    /// The text.
    pub found: String,
}

impl ProcessId {
    /// Its machine and its number, for a person: `MACHINE/PID`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.machine, self.pid)
    }
}

impl StartId {
    /// Whether a number means the same process here and there: one boot and one namespace.
    #[must_use]
    pub fn shares_numbers_with(&self, other: &Self) -> bool {
        (&self.boot, self.namespace) == (&other.boot, other.namespace)
    }

    fn parse(text: &str) -> Option<Self> {
        let (rest, ticks) = text.rsplit_once('.')?;
        let (boot, namespace) = rest.rsplit_once('.')?;
        let boot = Some(boot).filter(|boot| !boot.is_empty())?.to_owned();
        Some(Self { boot, namespace: namespace.parse().ok()?, ticks: ticks.parse().ok()? })
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ", self.machine, self.pid)?;
        match &self.start {
            Some(start) => write!(f, "{start}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for StartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.boot, self.namespace, self.ticks)
    }
}

impl FromStr for ProcessId {
    type Err = UnknownProcess;

    fn from_str(text: &str) -> Result<Self, UnknownProcess> {
        let parse = || {
            let (name, start) = text.rsplit_once(' ')?;
            let (machine, pid) = name.rsplit_once('/')?;
            let machine = Some(machine).filter(|machine| !machine.is_empty())?.to_owned();
            let start = if start.is_empty() { None } else { Some(StartId::parse(start)?) };
            Some(Self { machine, pid: pid.parse().ok()?, start })
        };
        // One text a process: `+7` and `007` are numbers too.
        let parsed = parse().filter(|process: &Self| process.to_string() == text);
        parsed.ok_or_else(|| UnknownProcess { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "9c1e7c52-7d5a-4a3b-8a63-0d0f3c2b1a00";

    fn process(machine: &str, pid: u32, start: Option<(u64, u64)>) -> ProcessId {
        let start = start.map(|(namespace, ticks)| StartId { boot: BOOT.to_owned(), namespace, ticks });
        ProcessId { machine: machine.to_owned(), pid, start }
    }

    #[test]
    fn process_is_read_from_the_text_that_it_is_written_as() {
        let table = [
            (
                process("shop", 23026, Some((4_026_531_836, 165_044))),
                format!("shop/23026 {BOOT}.4026531836.165044"),
            ),
            (process("shop", 7, None), "shop/7 ".to_owned()),
            (process("a/b c", u32::MAX, Some((0, 0))), format!("a/b c/4294967295 {BOOT}.0.0")),
            (process("商店", 1, None), "商店/1 ".to_owned()),
        ];
        for (process, text) in table {
            assert_eq!((process.to_string(), text.parse()), (text.clone(), Ok(process)), "{text}");
        }
    }

    #[test]
    fn text_that_names_no_process_is_an_error_that_names_it() {
        let texts = [
            "",
            "gone",
            "shop/7",
            "shop 7 ",
            "/7 ",
            "shop/ ",
            "shop/+7 ",
            "shop/007 ",
            "shop/4294967296 ",
            "shop/7 165044",
            "shop/7 4026531836.165044",
            "shop/7 .4026531836.165044",
            "shop/7 boot.4026531836.",
            "shop/7 boot.4026531836.-1",
            "shop/7 boot.4026531836.165044 0",
        ];
        for text in texts {
            let expected = format!("`{text}` names no process: expected `MACHINE/PID BOOT.NAMESPACE.TICKS`");
            assert_eq!(text.parse::<ProcessId>().map_err(|error| error.to_string()), Err(expected));
        }
    }

    #[test]
    fn numbers_are_shared_within_one_boot_and_namespace() {
        let start = |boot: &str, namespace, ticks| StartId { boot: boot.to_owned(), namespace, ticks };
        let table = [
            (start("a", 1, 5), start("a", 1, 6), true),
            (start("a", 1, 5), start("b", 1, 5), false),
            (start("a", 1, 5), start("a", 2, 5), false),
        ];
        for (one, other, expected) in table {
            assert_eq!(one.shares_numbers_with(&other), expected, "{one}, {other}");
        }
    }
}
