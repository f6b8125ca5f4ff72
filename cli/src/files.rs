//! Files that are there whole or not at all.

use crate::error::{Failure, Outcome, reason};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Replaces `path` by `bytes` in one step.
///
/// The bytes go to a file beside it, which is flushed to the disk and then renamed. Whoever reads sees the old
/// file or the new one; after a failure the old one is untouched and nothing is left beside it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Outcome<()> {
    let partial = partial_path(path);
    let written = write_and_flush(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    if let Err(error) = written {
        // Nothing can be done when this fails as well: the first failure is the one to tell.
        let _ = fs::remove_file(&partial);
        return Err(unwritable(path, &error));
    }
    flush_directory(path);
    Ok(())
}

/// Everything in a file that exists and is a file.
pub(crate) fn read(path: &Path) -> Outcome<Vec<u8>> {
    let unreadable = |error: io::Error| Failure::unusable(reason(&error)).at(path.display());
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Failure::unusable("is a directory, a file was expected").at(path.display()));
    }
    if !metadata.is_file() {
        return Err(Failure::unusable("is not a regular file").at(path.display()));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(unreadable)?;
    Ok(bytes)
}

/// An object as one line of JSON, with its end.
pub(crate) fn json_line(object: &impl serde::Serialize) -> Outcome<String> {
    serde_json::to_string(object)
        .map(|line| line + "\n")
        .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))
}

/// Makes a directory for a run's files, with its parents.
pub(crate) fn make_directory(path: &Path) -> Outcome<()> {
    fs::create_dir_all(path).map_err(|error| {
        Failure::unusable(format!("cannot make this directory: {}", reason(&error))).at(path.display())
    })
}

/// What to say when a file cannot be written.
pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot write: {}; what was saved before is untouched", reason(error)))
        .at(path.display())
}

/// One name for each file, so that a killed run leaves at most one, which the next run overwrites.
fn partial_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".partial");
    path.with_file_name(name)
}

fn write_and_flush(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A rename is safe from a power cut once its directory is on the disk. Not every file system can do it, and
/// the file is whole without: no reason to fail.
fn flush_directory(path: &Path) {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let _ = File::open(directory).and_then(|handle| handle.sync_all());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_old_file_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model");
        write_atomically(&path, b"first, longer").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_stale_partial_file_does_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model");
        fs::write(partial_path(&path), b"left by a killed run, longer than the new bytes").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_no_partial_one() {
        let directory = tempfile::tempdir().unwrap();
        // A directory cannot be replaced by a file: the rename fails after the bytes were written.
        let path = directory.path().join("model");
        fs::create_dir(&path).unwrap();
        let failure = write_atomically(&path, b"new").unwrap_err();
        assert_eq!(failure.status(), crate::error::FAILED);
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_leaves_the_old_file() {
        // The partial file is a link to the device that is always full.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model");
        write_atomically(&path, b"old").unwrap();
        std::os::unix::fs::symlink("/dev/full", partial_path(&path)).unwrap();
        let failure = write_atomically(&path, b"new").unwrap_err();
        assert!(failure.to_string().contains("the disk is full"), "{failure}");
        assert_eq!(read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let failure = read(directory.path()).unwrap_err();
        assert!(failure.to_string().ends_with("is a directory, a file was expected"), "{failure}");
        let failure = read(&directory.path().join("missing")).unwrap_err();
        assert!(failure.to_string().ends_with("missing: no such file or directory"), "{failure}");
        assert_eq!(failure.status(), crate::error::UNUSABLE);
    }
}
