//! Files appear whole or not at all: written beside their place, synced, renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

#[derive(Debug, Error)]
#[error("{}: [output.{rule}] {source}", path.display())]
pub struct OutputError {
    pub path: PathBuf,
    pub rule: &'static str,
    #[source]
    pub source: io::Error,
}

/// The directory, made where it is missing.
pub fn make_dir(path: &Path) -> Result<(), OutputError> {
    fs::create_dir_all(path).map_err(|source| OutputError {
        path: path.to_path_buf(),
        rule: "no_directory",
        source,
    })
}

/// Whatever `fill` writes becomes the file at `path`; on any error the old file, or none, stays.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), OutputError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let beside = path.with_file_name(name);
    let written = write_synced(&beside, fill).and_then(|()| fs::rename(&beside, path));
    written.map_err(|source| {
        // Its own failure adds nothing to the first one's report.
        let _ = fs::remove_file(&beside);
        OutputError {
            path: path.to_path_buf(),
            rule: "not_written",
            source,
        }
    })
}

/// Removes DIR/batch-NNNNNN.KIND from number `first` on: an earlier run's, which do not follow this
/// one's.
pub fn drop_batches(dir: &Path, first: u64, kind: &str) -> Result<(), OutputError> {
    for batch in first.. {
        let path = dir.join(format!("batch-{batch:06}.{kind}"));
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::NotFound => break,
            Err(source) => {
                let rule = "not_removed";
                return Err(OutputError { path, rule, source });
            }
        }
    }
    Ok(())
}

fn write_synced(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(File::create(path)?);
    fill(&mut writer)?;
    writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        write_whole(&path, |out| out.write_all(b"old")).unwrap();
        let full = |out: &mut dyn Write| {
            out.write_all(b"half of the new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = write_whole(&path, full).unwrap_err();
        assert_eq!(error.rule, "not_written");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_earlier_runs_batches_go_and_this_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "batch-000000.data",
            "batch-000001.data",
            "batch-000002.data",
            "state.json",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        drop_batches(dir.path(), 1, "data").unwrap();
        let names = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> = names.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["batch-000000.data", "state.json"]);
    }

    #[test]
    fn a_directory_that_is_a_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        assert_eq!(
            make_dir(&path.join("below")).unwrap_err().rule,
            "no_directory"
        );
    }
}
