//! Which generations live, and which of them signs for a host.
//!
//! While two generations live, the older one that permits a host signs for it: agents that are running have
//! loaded its root and not yet the newer one's.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::CA_GENERATIONS_MAX;
use crate::limits::CA_RENEWED_BEFORE;
use crate::limits::CA_RETIRED_AFTER;
use crate::limits::LEAF_LIFETIME;
use crate::model::Host;
use crate::model::Timestamp;
use crate::tls::authority::CaError;
use crate::tls::folder::PrivateFolder;
use crate::tls::generation;
use crate::tls::generation::GENERATION_SUFFIX;
use crate::tls::generation::Generation;
use crate::tls::generation::Intermediate;
use crate::tls::generation::NotAGeneration;
use crate::tls::leaf::LeafError;

/// What one moment knows; replaced whole.
pub(super) struct State {
    permitted: BTreeSet<String>,
    /// Oldest first.
    pub(super) generations: Vec<Arc<Generation>>,
}

impl State {
    /// Reads `folder`, and makes a new generation where none serves these hosts for long enough.
    pub(super) fn settle(folder: &Path, permitted: &[Host], now: Timestamp) -> Result<Self, CaError> {
        let folder = PrivateFolder::open_or_make(folder)?;
        let _turn = folder.turn()?;
        folder.sweep()?;
        let permitted = generation::subtrees(permitted);
        let (expired, mut generations): (Vec<_>, Vec<_>) =
            read_all(&folder)?.into_iter().partition(|made| made.not_after <= now);
        if !generations.iter().any(|made| made.serves(&permitted, now, CA_RENEWED_BEFORE)) {
            generations.push(make(&folder, &permitted, now)?);
        }
        for made in expired.into_iter().chain(retire(&mut generations, &permitted, now)) {
            folder.remove(&made.name)?;
        }
        let generations = generations.into_iter().map(Arc::new).collect();
        Ok(Self { permitted, generations })
    }

    /// The generation and intermediate that sign for `host`: the oldest that live long enough, else any that lives.
    pub(super) fn signer(&self, host: &Host, now: Timestamp) -> Result<(&Generation, &Intermediate), LeafError> {
        if host.address().is_some() {
            return Err(LeafError::Address(host.clone()));
        }
        if !generation::ancestors(host.as_str()).any(|ancestor| self.permitted.contains(ancestor)) {
            return Err(LeafError::NotPermitted(host.clone()));
        }
        let living = |ahead: Duration| {
            self.generations
                .iter()
                .filter(move |made| made.lives(now, ahead))
                .find_map(|made| Some((&**made, made.intermediate_for(host.as_str())?)))
        };
        living(LEAF_LIFETIME).or_else(|| living(Duration::ZERO)).ok_or_else(|| LeafError::Expired(host.clone()))
    }
}

/// Takes out what newer generations have replaced for long enough, and what is too much. The newest that serves
/// all hosts stays.
fn retire(generations: &mut Vec<Generation>, permitted: &BTreeSet<String>, now: Timestamp) -> Vec<Generation> {
    let Some(current) = generations.iter().rposition(|made| made.serves(permitted, now, CA_RENEWED_BEFORE)) else {
        return Vec::new();
    };
    let followed_at: Vec<Option<Timestamp>> =
        (0..generations.len()).map(|index| generations.get(index + 1).map(Generation::made)).collect();
    let surplus = generations.len().saturating_sub(CA_GENERATIONS_MAX);
    let mut retired = Vec::new();
    let mut kept = Vec::new();
    for (index, (made, followed)) in generations.drain(..).zip(followed_at).enumerate() {
        let replaced = followed.is_some_and(|at| now.since(at) > CA_RETIRED_AFTER);
        let goes = index != current && (replaced || index < surplus);
        if goes { retired.push(made) } else { kept.push(made) }
    }
    *generations = kept;
    retired
}

/// Makes and keeps the next generation.
pub(super) fn make(
    folder: &PrivateFolder,
    permitted: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Generation, CaError> {
    let names = folder.names(GENERATION_SUFFIX)?;
    let (generation, file) = Generation::make(names.last().map(String::as_str), permitted, now)?;
    folder.write(&generation.name, file.as_bytes())?;
    Ok(generation)
}

/// All generations in the order of making.
pub(super) fn read_all(folder: &PrivateFolder) -> Result<Vec<Generation>, CaError> {
    folder.names(GENERATION_SUFFIX)?.iter().map(|name| read(folder, name)).collect()
}

/// One generation.
pub(super) fn read(folder: &PrivateFolder, name: &str) -> Result<Generation, CaError> {
    let damaged = |source| CaError::Damaged { path: folder.path_of(name), source };
    let file = folder.read(name)?.ok_or_else(|| damaged(NotAGeneration::Sections))?;
    Generation::parse(name.to_owned(), &file).map_err(damaged)
}
