//! A directory of its own in which a test calls `samebuild` as a person would. What is said and written there is the tests'
//! affair.

use std::path::Path;
use std::process::{Command, Output};

/// Gone with the test; the cache is in it too.
pub struct Place(tempfile::TempDir);

impl Place {
    /// With these files.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program, with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_samebuild"));
        command.args(args).current_dir(self.path()).env("SAMEBUILD_CACHE", self.path().join("cache"));
        command
    }

    /// What comes of it; `None`, with a word, where this machine has no busybox for the base.
    pub fn exercise(&self, args: &[&str]) -> Option<Output> {
        let output = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("find a busybox") {
            println!("not exercised: {said}");
            return None;
        }
        Some(output)
    }
}
