//! The configuration's secrets by name, read once and replaced as a whole.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use crate::credential::SecretSource;
use crate::credential::SecretUnreadable;
use crate::model::Secret;

/// Each `[[secret]]` that was read.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// Reads all of them, or says of each that can't be read why. Blocks.
    pub fn read<'a>(
        sources: impl IntoIterator<Item = (&'a str, &'a SecretSource)>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Vec<(String, SecretUnreadable)>> {
        let mut read = BTreeMap::new();
        let mut unreadable = Vec::new();
        for (name, source) in sources {
            match source.read(environment) {
                Ok(secret) => drop(read.insert(name.to_owned(), secret)),
                Err(error) => unreadable.push((name.to_owned(), error)),
            }
        }
        if unreadable.is_empty() { Ok(Self(read)) } else { Err(unreadable) }
    }

    /// By name.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }
}

impl FromIterator<(String, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(secrets: I) -> Self {
        Self(secrets.into_iter().collect())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_can_not_be_read_is_said_at_once() {
        let sources = ["A", "B", "C"].map(|name| (name, SecretSource::Environment(name.to_owned())));
        let list = || sources.iter().map(|(name, source)| (*name, source));
        let unreadable = Secrets::read(list(), &|name| (name == "B").then(|| "x".into())).unwrap_err();
        assert_eq!(unreadable.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["A", "C"]);
        let secrets = Secrets::read(list(), &|_| Some("hunter2".into())).unwrap();
        assert_eq!(secrets.get("B").unwrap().expose(), b"hunter2");
        assert_eq!(format!("{secrets:?}"), r#"{"A", "B", "C"}"#);
    }
}
