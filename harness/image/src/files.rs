//! A set of named files, as an image layout is one: read, and added to. Directories on disk are the rim's affair; here is
//! only the trait, and the set in memory.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::source::{Bytes, Source};

/// Files by name; names are relative and separated by `/`.
pub trait Files: Sync {
    /// The file of that name; an error of kind `NotFound` where there is none.
    fn source(&self, name: &str) -> io::Result<Arc<dyn Source>>;

    /// What to call the set in an error.
    fn name(&self) -> String;
}

/// Files to which some can be added.
pub trait NewFiles: Sync {
    /// Adds a file that `fill` writes; its name is what `fill` returns, because a blob is named after its bytes. Nothing
    /// may be left behind if `fill` fails. A file of that name is replaced.
    fn put(&self, fill: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<String>) -> io::Result<()>;

    /// Whether a file of that name and size is there already, so that nobody need read what would become it.
    fn has(&self, _name: &str, _size: u64) -> bool {
        false
    }
}

/// Files in memory.
#[derive(Default)]
pub struct Memory(Mutex<BTreeMap<String, Bytes>>);

impl Memory {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file.
    pub fn insert(&self, name: &str, bytes: impl Into<Arc<[u8]>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Bytes::new(bytes));
    }

    /// Removes a file; its bytes, if it was there.
    pub fn remove(&self, name: &str) -> Option<Arc<[u8]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name).map(|bytes| bytes.0)
    }

    /// Every file, by name.
    pub fn all(&self) -> Vec<(String, Arc<[u8]>)> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().map(|(name, bytes)| (name.clone(), Arc::clone(&bytes.0))).collect()
    }
}

impl Files for Memory {
    fn source(&self, name: &str) -> io::Result<Arc<dyn Source>> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match files.get(name) {
            Some(bytes) => Ok(Arc::new(bytes.clone())),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
        }
    }

    fn name(&self) -> String {
        "memory".to_owned()
    }
}

impl NewFiles for Memory {
    fn put(&self, fill: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<String>) -> io::Result<()> {
        let mut bytes = Vec::new();
        let name = fill(&mut bytes)?;
        self.insert(&name, bytes);
        Ok(())
    }
}
