//! Files appear whole or not at all: written beside their place, synced, renamed, their directory
//! synced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Two threads may write the same file, which is then the same file.
    let thread = std::thread::current().id();
    let beside = path.with_extension(format!("partial-{}-{thread:?}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        match path.parent().filter(|parent| *parent != Path::new("")) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().inspect_err(|_| {
        // Nothing half-written stays; the first error is the one to tell.
        let _ = fs::remove_file(&beside);
    })
}

/// The file's bytes; none where there is no file.
pub fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there was one.
pub fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
