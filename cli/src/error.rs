//! Why the program stopped: one line for its reader, and the exit status.

use std::{fmt, io};

/// The work was started and failed: a diverging loss, a full disk, an interruption.
pub(crate) const FAILED: u8 = 1;
/// It could not be started: wrong usage, or input that cannot be used.
pub(crate) const UNUSABLE: u8 = 2;

/// One line that says what went wrong, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    status: u8,
}

/// What everything that can fail returns.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Wrong usage or unusable input: exit status 2.
    pub(crate) fn unusable(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: UNUSABLE }
    }

    /// The work ran and failed: exit status 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: FAILED }
    }

    /// The same failure, told with the place in front: `place: message`.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    /// What `main` hands to the shell.
    pub(crate) fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Failure {
    /// One line whatever the message carries: a file's name may hold a line feed, or a terminal's control codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.message.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// An I/O error in plain words, without the system's number.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::StorageFull => "the disk is full".into(),
        _ => {
            let text = error.to_string();
            match text.find(" (os error") {
                Some(end) => text[..end].to_lowercase(),
                None => text,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        let failure = Failure::unusable("not\nfound\u{1b}[31m").at("a\tb");
        assert_eq!(failure.to_string(), "a\\tb: not\\nfound\\u{1b}[31m");
        assert_eq!(failure.status(), 2);
    }

    #[test]
    fn a_reason_has_no_number() {
        assert_eq!(reason(&io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(reason(&io::Error::from_raw_os_error(28)), "the disk is full");
        assert_eq!(reason(&io::Error::from_raw_os_error(21)), "is a directory");
    }
}
