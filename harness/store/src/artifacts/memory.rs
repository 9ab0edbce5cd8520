//! Answers: what is the artifact cache of an engine in memory? Entries in a vector, and sources whose key is their number.
//! For races, and for tests; what survives the process is the rim's.

use std::cell::RefCell;
use std::hash::Hash as _;
use std::rc::Rc;

use crate::artifacts::{Book, Cache, Entry, Hashed, Key, Sources, Trouble};
use crate::engine::Call;
use crate::mix::Mix;
use crate::names::{Content, ImageId};

/// A book and sources in memory.
#[derive(Default)]
pub struct Memory(RefCell<Vec<(Key, Entry)>>);

impl Memory {
    /// A cache that knows the image of one content.
    pub fn of(content: Content, image: ImageId) -> Rc<Memory> {
        let entry = Entry { id: Some(image), digest: None };
        Rc::new(Memory(RefCell::new(vec![(key(content), entry)])))
    }

    /// As what an artifact is made with.
    pub fn cache(self: &Rc<Memory>) -> Cache {
        Cache { book: self.clone(), sources: self.clone(), registry: None, on: true }
    }

    /// What is known of a content.
    pub fn entry(&self, content: Content) -> Option<Entry> {
        self.get(key(content))
    }

    pub(crate) fn mix_into(&self, mix: &mut Mix) {
        self.0.borrow().hash(mix);
    }

    fn get(&self, key: Key) -> Option<Entry> {
        self.0.borrow().iter().find(|(other, _)| *other == key).map(|(_, entry)| *entry)
    }
}

fn key(content: Content) -> Key {
    Key::symbol(u64::from(content.0))
}

impl Book for Memory {
    fn read(&self, key: Key) -> Call<'_, Result<Option<Entry>, Trouble>> {
        Box::pin(std::future::ready(Ok(self.get(key))))
    }

    fn write(&self, key: Key, entry: Entry) -> Call<'_, Result<(), Trouble>> {
        let mut entries = self.0.borrow_mut();
        entries.retain(|(other, _)| *other != key);
        entries.push((key, entry));
        Box::pin(std::future::ready(Ok(())))
    }

    fn forget(&self, key: Key, entry: Entry) -> Call<'_, Result<(), Trouble>> {
        self.0.borrow_mut().retain(|other| *other != (key, entry));
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Sources for Memory {
    fn hash(&self, content: Content) -> Call<'_, Result<Hashed, Trouble>> {
        Box::pin(std::future::ready(Ok(Hashed { key: key(content), witness: 0 })))
    }
}
